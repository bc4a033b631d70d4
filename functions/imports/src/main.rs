//! `POST /imports` and `GET /imports/{id}`: accepts bulk imports and reports their progress. Links no model.

use std::sync::Arc;

use bulk_imports::{ImportConfig, ImportRequest, Imports};
use database::Database;
use lambda_http::{
    RequestExt as _,
    http::{Method, StatusCode},
};
use shared::{
    DatabaseState, Error, State,
    http::{self, Request, Response},
};

/// State kept between requests.
#[derive(Clone)]
struct ImportsState {
    database: DatabaseState,
    imports: Arc<Imports>,
}

impl State for ImportsState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        Ok(Self {
            database: DatabaseState::for_all_tenants(function)?,
            imports: Arc::new(Imports::new(ImportConfig::from_env()?)?),
        })
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        self.database.warm().await
    }

    fn database(&self) -> &Database {
        self.database.database()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("imports", handle).await
}

async fn handle(state: ImportsState, request: Request) -> Result<Response, Error> {
    let imports = &state.imports;
    let caller = http::caller(&request)?;
    let visibility = &caller.visibility;
    if request.method() == Method::POST {
        let body: ImportRequest = http::json(&request)?;
        // The request id is unique, and it is in the log.
        let id = request.lambda_context().request_id;
        let import = imports
            .accept(state.database(), visibility, caller.key_id(), &id, body)
            .await?;
        return http::respond(StatusCode::ACCEPTED, &import);
    }
    let id = http::path_parameter(&request, "id")?;
    http::ok(
        &imports
            .status(state.database(), &visibility.tenant, &id)
            .await?,
    )
}
