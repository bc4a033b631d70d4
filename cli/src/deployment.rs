//! What a command works on: a database, or the API in front of it.

use database::Database;
use document_store::{Limit, Tenant};
use reqwest::Method;
use serde_json::{Value, value::RawValue};

use crate::{
    patience::{is_refused, is_undone, patiently, pause},
    remote::{self, ApiResponse, Key, address},
    setup::{Setup, Target},
};

/// A database or an API.
pub(crate) enum Deployment {
    /// A database, and the tenant that the command is about.
    Database(Box<(Setup, Database, Tenant)>),
    Api(Api),
}

/// An API at an address.
pub(crate) struct Api {
    api: remote::Api,
    url: String,
}

impl Deployment {
    /// Opens the API at an address, or without one the database.
    pub(crate) async fn open(
        api: Option<&str>,
        key: &Key,
        target: &Target,
    ) -> anyhow::Result<Self> {
        if let Some(api) = api {
            return Ok(Self::Api(Api {
                api: key.api()?,
                url: address(api),
            }));
        }
        let setup = target.prepare("").await?;
        setup.require_schema().await?;
        let database = Database::new(&setup.database)?;
        let tenant = key.visibility().tenant;
        Ok(Self::Database(Box::new((setup, database, tenant))))
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Self::Database(opened) = self {
            let (setup, database, _) = *opened;
            database.close().await;
            setup.stop().await?;
        }
        Ok(())
    }
}

/// The rows of all pages of a list; `page` reads one from a cursor on, and returns the cursor of the next.
pub(crate) async fn all_pages<T>(
    page: impl AsyncFn(Option<String>) -> anyhow::Result<(Vec<T>, Option<String>)>,
) -> anyhow::Result<Vec<T>> {
    let (mut rows, mut cursor) = (Vec::new(), None);
    loop {
        let (more, next) = page(cursor).await?;
        rows.extend(more);
        cursor = next;
        if cursor.is_none() {
            return Ok(rows);
        }
    }
}

impl Api {
    /// A page of a list, whose cursors are ids and names: they need no encoding in a URL.
    pub(crate) async fn page(&self, list: &str, cursor: Option<String>) -> anyhow::Result<Value> {
        let after = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let path = format!("{list}?limit={}{after}", Limit::MAX);
        self.ask(Method::GET, &path, None).await
    }

    /// The answer to a request, which is sent again while it is refused for now, unless that could do twice what is to be done
    /// once; any other than a success is an error in the API's words. The body is sent as it is written: in a [`Value`], long
    /// numbers of a filter would be rounded, and of two equal keys one would be lost.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Box<RawValue>>,
    ) -> anyhow::Result<Value> {
        let url = format!("{}/{path}", self.url);
        let passes: fn(&ApiResponse) -> bool = if method.is_idempotent() {
            is_refused
        } else {
            is_undone
        };
        let request = move || {
            let request = self.api.request(method.clone(), &url);
            match &body {
                Some(body) => request.json(body),
                None => request,
            }
        };
        patiently(&self.api, &self.url, request, passes, pause)
            .await?
            .success()
    }
}
