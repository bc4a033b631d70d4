//! What a command works on: a database, or the API in front of it.

use database::Database;
use document_store::Tenant;
use reqwest::Method;
use serde_json::{Value, value::RawValue};

use crate::{
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

impl Api {
    /// The answer to a request; any other than a success is an error in the API's words. The body is sent as it is written: in
    /// a [`Value`], long numbers of a filter would be rounded, and of two equal keys one would be lost.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Box<RawValue>>,
    ) -> anyhow::Result<Value> {
        let mut request = self.api.request(method, &format!("{}/{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        ApiResponse::of(&self.api, request, &self.url)
            .await?
            .success()
    }
}
