//! Bodies that no type of Rust describes.

use chat::Body;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use shared::problem::Problem;

/// The parameters of `DELETE /documents`.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct DeleteMatching {
    /// What the documents to delete match; it must not match all of them.
    filter: filter::Filter,
    /// Whether to delete them; without it they are only counted.
    confirm: Option<bool>,
}

/// The parameters of `GET /health`.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct HealthParameters {
    /// Whether to run a whole search, part by part.
    deep: Option<bool>,
}

/// The parameters of `DELETE /sources/{name}`.
#[derive(JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct RemoveParameters {
    /// Whether to keep the documents of the source.
    keep: Option<bool>,
}

/// A message of JSON-RPC 2.0, as the Model Context Protocol defines it.
pub(super) fn json_rpc(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "A message of JSON-RPC 2.0: https://modelcontextprotocol.io/specification/2026-07-28",
        "properties": { "jsonrpc": { "const": "2.0" } },
        "required": ["jsonrpc"],
        "additionalProperties": true,
    })
}

/// An event of an answer.
pub(super) fn chat_event(generator: &mut SchemaGenerator) -> Schema {
    let problem = generator.subschema_for::<Problem>();
    let retrieval =
        json_schema!({ "type": "object", "properties": { "state": { "const": "running" } } });
    let events = [
        ("retrieval", retrieval),
        ("sources", Body::SourcesEvent.schema(generator)),
        ("delta", Body::TextEvent.schema(generator)),
        ("reasoning", Body::TextEvent.schema(generator)),
        ("done", Body::DoneEvent.schema(generator)),
        ("failure", problem.clone()),
        ("error", problem),
    ];
    let events = events.map(|(name, data)| {
        json_schema!({
            "type": "object",
            "properties": {
                "event": { "const": name },
                "data": { "type": "string", "contentMediaType": "application/json", "contentSchema": data },
            },
            "required": ["event", "data"],
        })
    });
    json_schema!({ "description": "One of the events.", "oneOf": events })
}

/// An event of an answer in `OpenAI`'s protocol.
pub(super) fn completion_event(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "description": "One of the events: a `chat.completion.chunk` or an error in JSON, and `[DONE]` at the end.",
        "properties": { "data": { "type": "string", "contentMediaType": "application/json" } },
        "required": ["data"],
    })
}

/// A page or a file.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// This description.
pub(super) fn description(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "required": ["openapi", "paths"] })
}
