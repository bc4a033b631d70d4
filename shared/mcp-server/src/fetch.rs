//! The tool `fetch`, in the shape that assistants' connectors expect.

use document_store::{DocumentId, address};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::Error;

use crate::{
    DocumentServer,
    resources::{id_of, uri},
};

/// What a model asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The document's id, as `search` gave it.
    id: String,
    /// Characters of the document to pass over; 0 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 0))]
    offset: Option<i64>,
}

/// A document, or a piece of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Fetched {
    /// Its id.
    id: String,
    /// Its title.
    title: String,
    /// Its text, or a piece of it.
    text: String,
    /// Where it comes from, to cite it.
    url: String,
    /// What else is known of it.
    metadata: Map<String, Value>,
    /// Where the next piece begins, if there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<usize>,
}

/// Characters of the longest piece, some 10,000 tokens: clients cut or refuse longer results.
const PIECE: usize = 40_000;

/// Reads a document.
///
/// # Errors
/// When there is none with the id, or the database fails.
pub(super) async fn run(server: &DocumentServer, arguments: Arguments) -> Result<Fetched, Error> {
    let offset = usize::try_from(arguments.offset.unwrap_or_default())
        .map_err(|_| json::FieldError::new("offset", "must be 0 or more"))?;
    let id = DocumentId::parse(&id_of(&arguments.id), "id")?;
    let document = document_store::get(&server.state.database, &server.visibility, &id).await?;
    let document = document.ok_or_else(|| Error::NoDocument(id.as_str().to_owned()))?;
    let content = document.content.unwrap_or_default();
    let mut rest = content.chars().skip(offset);
    let text: String = rest.by_ref().take(PIECE).collect();
    let metadata = document.metadata.get();
    Ok(Fetched {
        next_offset: rest.next().map(|_| offset + PIECE),
        text,
        url: address(metadata).unwrap_or_else(|| uri(&document.id)),
        metadata: serde_json::from_str(metadata).map_err(|error| Error::internal(&error))?,
        title: if document.title.is_empty() {
            document.id.clone()
        } else {
            document.title
        },
        id: document.id,
    })
}
