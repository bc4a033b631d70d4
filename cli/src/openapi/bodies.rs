//! Bodies that no type of Rust describes.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

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

/// A page, a file or events.
pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string" })
}

/// This description.
pub(super) fn description(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "required": ["openapi", "paths"] })
}
