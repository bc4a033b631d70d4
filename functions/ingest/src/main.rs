//! `POST /documents`, `PUT` and `PATCH /documents/{id}`: chunks, embeds and stores, and responds after the commit.

mod files;

use std::process::ExitCode;

use document_store::{
    Batch, DocumentId, Expected, IngestRequest, IngestResponse, Outcome, PatchRequest, Status,
    Visibility,
};
use lambda_http::http::Method;
use retrieval::IngestState;
use shared::{
    Error,
    http::{self, Request, Response},
};

fn main() -> Result<ExitCode, lambda_http::Error> {
    // A child of this function reads a file: see `files`.
    match extract::serve_child() {
        Some(status) => Ok(status),
        None => run().map(|()| ExitCode::SUCCESS),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run() -> Result<(), lambda_http::Error> {
    http::serve("ingest", handle).await
}

async fn handle(state: IngestState, request: Request) -> Result<Response, Error> {
    match *request.method() {
        Method::PUT => put(&state, &request).await,
        Method::PATCH => patch(&state, &request).await,
        _ => post(&state, &request).await,
    }
}

async fn post(state: &IngestState, request: &Request) -> Result<Response, Error> {
    let IngestRequest { documents } = http::json(request)?;
    let visibility = &http::caller(request)?.visibility;
    let batch = Batch::parse(files::extracted(documents, request).await?)?;
    let documents = store(state, visibility, batch, &Expected::Anything).await?;
    http::ok(&IngestResponse { documents })
}

async fn put(state: &IngestState, request: &Request) -> Result<Response, Error> {
    let id = http::path_parameter(request, "id")?;
    let document = files::extracted_one(http::json(request)?, &id, request).await?;
    let batch = Batch::parse_one(&id, document)?;
    let visibility = &http::caller(request)?.visibility;
    let outcome = only(store(state, visibility, batch, &http::expected(request)).await?)?;
    let answer = if outcome.status == Status::Created {
        http::created(&outcome)
    } else {
        http::ok(&outcome)
    };
    Ok(http::tagged(answer?, &outcome.etag))
}

async fn patch(state: &IngestState, request: &Request) -> Result<Response, Error> {
    let id = DocumentId::parse(&http::path_parameter(request, "id")?, "id")?;
    let patch = http::json::<PatchRequest>(request)?.parse()?;
    let recipe = state.embedder.manifest().recipe();
    let embed = |documents| state.embedder.embed_documents(documents);
    let visibility = &http::caller(request)?.visibility;
    let expected = http::expected(request);
    let outcomes = document_store::patch(
        &state.database,
        visibility,
        recipe,
        &id,
        &patch,
        &expected,
        embed,
    )
    .await?;
    count(&outcomes);
    let outcome = only(outcomes)?;
    Ok(http::tagged(http::ok(&outcome)?, &outcome.etag))
}

async fn store(
    state: &IngestState,
    visibility: &Visibility,
    batch: Batch,
    expected: &Expected,
) -> Result<Vec<Outcome>, Error> {
    let recipe = state.embedder.manifest().recipe();
    let embed = |documents| state.embedder.embed_documents(documents);
    let outcomes =
        document_store::replace(&state.database, visibility, recipe, batch, expected, embed)
            .await?;
    count(&outcomes);
    Ok(outcomes)
}

/// Counts the documents that were stored for the caller's account.
fn count(outcomes: &[Outcome]) {
    let stored = outcomes
        .iter()
        .filter(|outcome| outcome.status != Status::Unchanged);
    telemetry::used(|usage| usage.documents += stored.count() as u64);
}

fn only(outcomes: Vec<Outcome>) -> Result<Outcome, Error> {
    let none = || Error::Internal("a batch of one document has no outcome".to_owned());
    outcomes.into_iter().next().ok_or_else(none)
}
