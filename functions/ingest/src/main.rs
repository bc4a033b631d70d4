//! `POST /documents` and `PUT /documents/{id}`: chunks, embeds and stores, and answers when it is durable.

use lambda_http::http::Method;
use serde::{Deserialize, Serialize};
use shared::{
    Error, State,
    config::Needs,
    documents::{self, Batch, DocumentInput, Outcome, Status},
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
    http::serve("ingest", Needs::Embedder, handle).await
}

async fn handle(state: State, request: Request) -> Result<Response, Error> {
    if request.method() == Method::PUT {
        return put(&state, &request).await;
    }
    let IngestRequest { documents } = http::json(&request)?;
    let documents = store(&state, Batch::parse(documents)?).await?;
    http::ok(&IngestResponse { documents })
}

async fn put(state: &State, request: &Request) -> Result<Response, Error> {
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

async fn store(state: &State, batch: Batch) -> Result<Vec<Outcome>, Error> {
    let model = &state.manifest()?.name;
    documents::upsert(state.database(), model, batch, |documents| {
        state.embed_documents(documents)
    })
    .await
}
