//! The tool `list_filters`: what a search can be narrowed by.

use document_store::{MetadataKey, metadata_keys};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::Error;

use crate::DocumentServer;

/// There is nothing to ask for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {}

/// The keys of the documents' metadata.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Filters {
    /// The most frequent keys, the most frequent first.
    keys: Vec<Key>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Key {
    /// Its name, as `filter` has it.
    name: String,
    /// How many different values it has, among the documents that were looked at.
    values: i64,
    /// Its most frequent values.
    #[schemars(schema_with = "examples")]
    examples: Vec<Value>,
}

/// Any values, by their types: some clients refuse a schema that is just `true`.
fn examples(_: &mut SchemaGenerator) -> Schema {
    let kinds = ["string", "number", "boolean", "null", "object", "array"];
    let kinds = kinds.map(|kind| json!({ "type": kind }));
    json_schema!({ "type": "array", "items": { "anyOf": kinds } })
}

/// Lists the keys.
///
/// # Errors
/// When the database fails.
pub(super) async fn run(server: &DocumentServer) -> Result<Filters, Error> {
    let keys = metadata_keys(&server.state.database, &server.visibility).await?;
    let keys = keys.into_iter().map(Key::from);
    Ok(Filters {
        keys: keys.collect(),
    })
}

impl From<MetadataKey> for Key {
    fn from(key: MetadataKey) -> Self {
        Self {
            name: key.key,
            values: key.values,
            examples: key.examples.0,
        }
    }
}
