//! `POST /imports` and `GET /imports/{id}`: accepts bulk imports and says how far they are; no model inside.

use lambda_http::{
    RequestExt as _,
    http::{Method, StatusCode},
};
use shared::{
    Error, State,
    config::Needs,
    http::{self, Request, Response},
    imports::ImportRequest,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("imports", Needs::Queue, handle).await
}

async fn handle(state: State, request: Request) -> Result<Response, Error> {
    let imports = state.imports()?;
    if request.method() == Method::POST {
        let body: ImportRequest = http::json(&request)?;
        // The request's id is unique, and the log has it.
        let id = request.lambda_context().request_id;
        let import = imports.accept(state.database(), &id, body).await?;
        return http::respond(StatusCode::ACCEPTED, &import);
    }
    let id = http::path_parameter(&request, "id")?;
    http::ok(&imports.status(state.database(), &id).await?)
}
