//! What a command works on: a database, or the API in front of it.

use database::Database;
use reqwest::Method;
use serde_json::Value;

use crate::{
    remote::{self, ApiResponse, Key, address},
    setup::{Setup, Target},
};

/// A database or an API.
pub(crate) enum Deployment {
    Database(Box<(Setup, Database)>),
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
        Ok(Self::Database(Box::new((setup, database))))
    }

    pub(crate) async fn close(self) -> anyhow::Result<()> {
        if let Self::Database(opened) = self {
            let (setup, database) = *opened;
            database.close().await;
            setup.stop().await?;
        }
        Ok(())
    }
}

impl Api {
    /// The answer to a request; any other than a success is an error in the API's words.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
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
