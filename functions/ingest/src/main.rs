//! `POST /documents` and `PUT /documents/{id}`: chunks, embeds and stores, and answers when it is durable.

use document_store::{Batch, DocumentInput, Outcome, Status};
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

/// A line per document, in the order of the request.
#[derive(Serialize)]
struct IngestResponse {
    documents: Vec<Outcome>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("ingest", handle).await
}

async fn handle(state: IngestState, request: Request) -> Result<Response, Error> {
    if request.method() == Method::PUT {
        return put(&state, &request).await;
    }
    let IngestRequest { documents } = http::json(&request)?;
    let documents = store(&state, Batch::parse(documents)?).await?;
    http::ok(&IngestResponse { documents })
}

async fn put(state: &IngestState, request: &Request) -> Result<Response, Error> {
    let id = http::path_parameter(request, "id")?;
    let outcomes = store(state, Batch::parse_one(&id, http::json(request)?)?).await?;
    let outcome = outcomes
        .first()
        .ok_or_else(|| Error::Internal("a batch of one has no outcome".to_owned()))?;
    if outcome.status == Status::Created {
        http::created(outcome)
    } else {
        http::ok(outcome)
    }
}

async fn store(state: &IngestState, batch: Batch) -> Result<Vec<Outcome>, Error> {
    let recipe = state.embedder.manifest().recipe();
    document_store::upsert(&state.database, recipe, batch, |documents| {
        state.embedder.embed_documents(documents)
    })
    .await
}
