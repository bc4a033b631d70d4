//! The tool `search`, in the shape that assistants' connectors expect.
//! <https://platform.openai.com/docs/mcp>

use document_store::address;
use retrieval::{Hit, SearchRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};
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
    let mut request = json::from_slice::<SearchRequest>(&written)?;
    if request.filter.is_some() && server.filter.is_some() {
        request.filter.clone_from(&server.filter);
    }
    let search = request.parse()?;
    let found = server.state.run(search, &server.visibility).await?;
    Ok(Found {
        results: found.hits.into_iter().map(FoundDocument::from).collect(),
    })
}

/// The filter in a message that calls the tool, as it is written: among the SDK's values, long numbers are rounded, and of two
/// equal keys one is lost.
pub(super) fn filter_of(message: &[u8]) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Message {
        params: Parameters,
    }
    #[derive(Deserialize)]
    struct Parameters {
        arguments: Filtered,
    }
    #[derive(Deserialize)]
    struct Filtered {
        filter: Box<RawValue>,
    }
    let message: Message = serde_json::from_slice(message).ok()?;
    Some(message.params.arguments.filter)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_a_message_keeps_its_digits() {
        let message = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "search", "_meta": {},
            "arguments": {"query": "beach", "filter": {"n": 12345678901234567890123}}}}"#;
        let filter = filter_of(message.as_bytes()).expect("a filter");
        assert_eq!(filter.get(), r#"{"n": 12345678901234567890123}"#);
        for other in [
            "",
            "[]",
            r#"{"params": {}}"#,
            r#"{"params": {"arguments": {"query": "beach"}}}"#,
        ] {
            assert!(filter_of(other.as_bytes()).is_none(), "{other}");
        }
    }
}
