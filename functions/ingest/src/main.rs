//! `POST /documents`, `PUT` and `PATCH /documents/{id}`: chunks, embeds and stores, and responds after the commit.

use document_store::{
    Batch, DocumentId, DocumentInput, Expected, Outcome, PatchRequest, Status, Visibility,
};
use lambda_http::http::Method;
use retrieval::IngestState;
use serde::{Deserialize, Serialize};
use shared::{
    Error,
    http::{self, Request, Response},
};

/// The body of `POST /documents`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IngestRequest {
    documents: Vec<DocumentInput>,
}

/// One outcome per document, in the order of the request.
#[derive(Serialize)]
struct IngestResponse {
    documents: Vec<Outcome>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
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
    let documents = store(state, Batch::parse(documents)?, &Expected::Anything).await?;
    http::ok(&IngestResponse { documents })
}

async fn put(state: &IngestState, request: &Request) -> Result<Response, Error> {
    let id = http::path_parameter(request, "id")?;
    let batch = Batch::parse_one(&id, http::json(request)?)?;
    let outcome = only(store(state, batch, &http::if_match(request)).await?)?;
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
    let visibility = Visibility::default();
    let expected = http::if_match(request);
    let outcomes = document_store::patch(
        &state.database,
        &visibility,
        recipe,
        &id,
        &patch,
        &expected,
        embed,
    )
    .await?;
    let outcome = only(outcomes)?;
    Ok(http::tagged(http::ok(&outcome)?, &outcome.etag))
}

async fn store(
    state: &IngestState,
    batch: Batch,
    expected: &Expected,
) -> Result<Vec<Outcome>, Error> {
    let recipe = state.embedder.manifest().recipe();
    let embed = |documents| state.embedder.embed_documents(documents);
    document_store::replace(
        &state.database,
        &Visibility::default(),
        recipe,
        batch,
        expected,
        embed,
    )
    .await
}

fn only(outcomes: Vec<Outcome>) -> Result<Outcome, Error> {
    let none = || Error::Internal("a batch of one document has no outcome".to_owned());
    outcomes.into_iter().next().ok_or_else(none)
}
