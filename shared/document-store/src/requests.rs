//! The bodies of requests for several documents, and the schemas of bodies that are parsed by hand.

use std::borrow::Cow;

use filter::Filter;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    batch::Batch, id::DocumentId, input::DocumentInput, metadata::Metadata, upsert::Outcome,
};

/// The body of `POST /documents`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IngestRequest {
    /// The documents.
    #[schemars(length(min = 1, max = Batch::MAX_DOCUMENTS))]
    pub documents: Vec<DocumentInput>,
}

/// The answer of `POST /documents`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IngestResponse {
    /// One outcome per document, in the order of the request.
    pub documents: Vec<Outcome>,
}

/// The body of `PATCH /documents`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchMatchingRequest {
    /// The filter on documents; it must not match all of them.
    #[schemars(with = "Filter", required)]
    pub filter: Option<Box<RawValue>>,
    /// The keys to set, and with `null` those to remove.
    #[schemars(with = "Metadata")]
    pub metadata: Box<RawValue>,
}

impl JsonSchema for Metadata {
    fn schema_name() -> Cow<'static, str> {
        "Metadata".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": format!(
                "Any JSON object of at most {} bytes. Its key `language` sets the language of the document's text.",
                Self::MAX_BYTES
            ),
            "additionalProperties": true,
            "examples": [{ "language": "en", "year": 2026, "tags": ["beach"] }],
        })
    }
}

impl JsonSchema for DocumentInput {
    fn schema_name() -> Cow<'static, str> {
        "DocumentInput".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let metadata = generator.subschema_for::<Option<Metadata>>();
        let id = json_schema!({
            "type": ["string", "integer", "null"], "minLength": 1, "maxLength": DocumentId::MAX_CHARACTERS,
            "description": "The document's id; generated if absent. In PUT it is in the path.",
        });
        let content = json_schema!({
            "type": ["string", "null"],
            "description": "The text to search: it contains a letter or a digit.",
        });
        let content_type = json_schema!({
            "type": ["string", "null"],
            "description": "The format of `content` or `content_base64`: text/markdown, text/html, text/plain, \
                application/pdf or application/vnd.openxmlformats-officedocument.wordprocessingml.document. The file's \
                text becomes the content; title and metadata that the request lacks are the file's.",
        });
        let content_base64 = json_schema!({
            "type": ["string", "null"], "contentEncoding": "base64",
            "description": "A file instead of `content`. Without a `content_type` its first bytes tell PDF, DOCX and HTML.",
        });
        json_schema!({
            "type": "object",
            "description": "A document, in this spelling or in BEIR's (`_id`, `text`). `null` counts as absent.",
            "properties": {
                "id": id,
                "title": {
                    "type": ["string", "null"], "maxLength": Batch::MAX_TITLE_CHARACTERS,
                    "description": "Embedded and searched with every passage.",
                },
                "content": content,
                "content_type": content_type,
                "content_base64": content_base64,
                "metadata": metadata,
                "_id": id,
                "text": content,
            },
            "anyOf": [
                { "required": ["content"] }, { "required": ["text"] }, { "required": ["content_base64"] },
            ],
            "additionalProperties": false,
            "examples": [{
                "id": "beach", "title": "Beach", "content": "The beach closes at 10 pm in summer.",
                "metadata": { "season": "summer" },
            }],
        })
    }
}
