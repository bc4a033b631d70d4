//! `GET /health`; with `?deep=true` it runs a whole search.

use lambda_http::http::StatusCode;
use retrieval::{
    SearchState,
    health::{self, Status},
};
use shared::{
    Error,
    http::{self, Parameters, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("health", handle).await
}

async fn handle(state: SearchState, request: Request) -> Result<Response, Error> {
    let mut parameters = Parameters::of(&request);
    let deep = parameters.parsed("deep", "true or false").unwrap_or(false);
    parameters.finish()?;
    let health = health::check(&state, deep).await;
    let status = match health.status {
        Status::Failed => StatusCode::SERVICE_UNAVAILABLE,
        Status::Ok | Status::Warning | Status::Skipped => StatusCode::OK,
    };
    http::respond(status, &health)
}
