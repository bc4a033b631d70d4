//! The tool `search`, in the shape that assistants' connectors expect.
//! <https://platform.openai.com/docs/mcp>

use document_store::address;
use retrieval::{Hit, SearchRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::Error;

use crate::{DocumentServer, resources::uri};

/// What a model asks.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The question, as a whole sentence or as words, at most 2,000 characters.
    query: String,
    /// The most results, 1 to 20; 8 if absent.
    #[serde(
        default,
        deserialize_with = "json::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = 20))]
    limit: Option<i64>,
    /// Metadata that every document found must have, such as {"language": "fr"}; see `list_filters`.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Map<String, Value>>,
}

/// What is found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Found {
    /// The documents, most relevant first.
    results: Vec<FoundDocument>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct FoundDocument {
    /// The id for `fetch`.
    id: String,
    /// The document's title.
    title: String,
    /// Where the document comes from, to cite it.
    url: String,
    /// The passage that was found.
    text: String,
    /// How likely the passage answers the question, 0 to 1.
    relevance: f64,
}

/// Results of a search that names no limit.
const RESULTS: i64 = 8;
/// The most: more would fill a model's context with what is hardly relevant.
const MOST_RESULTS: i64 = 20;

/// Searches.
///
/// # Errors
/// Names the arguments that are wrong; also when the search fails.
pub(super) async fn run(server: &DocumentServer, mut arguments: Arguments) -> Result<Found, Error> {
    let limit = arguments.limit.get_or_insert(RESULTS);
    if !(1..=MOST_RESULTS).contains(limit) {
        let detail = format!("is {limit}; 1 to {MOST_RESULTS} are allowed");
        return Err(json::FieldError::new("limit", detail).into());
    }
    let written = serde_json::to_vec(&arguments).map_err(|error| Error::internal(&error))?;
    let search = json::from_slice::<SearchRequest>(&written)?.parse()?;
    let found = server.state.run(search, &server.visibility).await?;
    Ok(Found {
        results: found.hits.into_iter().map(FoundDocument::from).collect(),
    })
}

impl From<Hit> for FoundDocument {
    fn from(hit: Hit) -> Self {
        Self {
            url: address(hit.metadata.get()).unwrap_or_else(|| uri(&hit.document_id)),
            title: if hit.title.is_empty() {
                hit.document_id.clone()
            } else {
                hit.title
            },
            id: hit.document_id,
            text: hit.content,
            relevance: hit.relevance,
        }
    }
}
