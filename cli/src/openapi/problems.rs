//! The errors of the API, by status.

use document_store::{DocumentId, Tenant};
use followed_tables::SourceDefinition;
use serde_json::{Map, Value, json};

use super::headers;

/// The shape of an operation's errors.
#[derive(Clone, Copy)]
pub(super) enum Errors {
    /// RFC 9457.
    Problems,
    /// That of `OpenAI`.
    OpenAi,
    /// Of the Model Context Protocol's SDK, which writes text.
    Text,
}

/// The statuses that any operation may have.
pub(super) const OF_ALL: [u16; 8] = [400, 401, 403, 408, 429, 500, 503, 504];
/// The statuses of operations that the gateway answers for, or a function without a database.
pub(super) const OF_GATEWAY: [u16; 5] = [400, 403, 429, 500, 503];

/// The statuses, what they mean, and the last words of the types of their problems.
pub(super) const STATUSES: [(u16, &str, &[&str]); 17] = [
    (
        400,
        "Malformed JSON, or escapes in the URL that are not UTF-8.",
        &[
            "malformed-json",
            "malformed-url",
            "malformed-request",
            "unreadable-body",
        ],
    ),
    (401, "No valid key or token.", &["unauthorized"]),
    (
        403,
        "The key, token or signature does not permit this; or the host or origin is foreign (on a laptop).",
        &[
            "forbidden",
            "forbidden-document",
            "too-many-documents",
            "tenant-removed",
            "foreign-host",
            "foreign-origin",
        ],
    ),
    (
        404,
        "The document, import, source, key, file or model does not exist.",
        &["not-found", "unknown-path"],
    ),
    (
        405,
        "The route exists with other methods, which `Allow` lists.",
        &["method-not-allowed"],
    ),
    (406, "The client does not accept JSON and events.", &[]),
    (
        408,
        "The body stalled for 30 seconds (on a laptop).",
        &["body-stalled"],
    ),
    (
        412,
        "The document is not in the state that `If-Match` or `If-None-Match` expects.",
        &["precondition-failed"],
    ),
    (413, "The body is larger than 6 MB.", &["body-too-large"]),
    (
        415,
        "The body's content type is not JSON, or the body is compressed.",
        &["unsupported-media-type", "unsupported-encoding"],
    ),
    (
        422,
        "A field is missing or invalid; `errors` names each with its limit. Or the answer would be too large.",
        &["invalid-request", "answer-too-large"],
    ),
    (
        429,
        "The key or its tenant has sent as many requests as it may in this minute, or too many unknown keys were presented; \
         `Retry-After` says when to retry.",
        &["too-many-requests", "too-many-keys"],
    ),
    (
        500,
        "An internal error; the log has the cause under the request id.",
        &["internal"],
    ),
    (
        501,
        "The deployment has no language model, follows no tables, or has no queue.",
        &["language-model-missing", "not-following", "no-queue"],
    ),
    (
        502,
        "The language model's endpoint refused or failed; `detail` is the remedy.",
        &[
            "language-model-key",
            "language-model-quota",
            "language-model-model",
            "language-model-address",
            "language-model-context",
            "language-model-parameter",
            "language-model-failed",
            "language-model-tool-call",
            "language-model-exhausted",
            "language-model-empty",
            "language-model-filtered",
            "language-model-cut",
            "language-model-unreadable",
            "function-failed",
        ],
    ),
    (
        503,
        "The database, the queue, the store or the language model is unavailable or overloaded; `Retry-After` says when \
         to retry.",
        &[
            "database-settings",
            "database-secret",
            "database-dns",
            "database-ipv6-only",
            "database-refused",
            "database-timeout",
            "database-network",
            "database-tls",
            "database-authentication",
            "database-unknown-database",
            "database-too-many-clients",
            "database-not-ready",
            "database-pooler",
            "database-server",
            "database-lost",
            "database-read-only",
            "database-busy",
            "database-overloaded",
            "database-forbidden",
            "model-mismatch",
            "not-migrated",
            "migration-refused",
            "queue-unavailable",
            "storage-unavailable",
            "issuer-unavailable",
            "language-model-unreachable",
            "language-model-busy",
            "too-busy",
        ],
    ),
    (
        504,
        "The database, the language model or the function took too long.",
        &[
            "statement-timeout",
            "language-model-silent",
            "answer-unfinished",
            "deadline",
        ],
    ),
];

impl Errors {
    /// A reference to the response of a status.
    pub(super) fn reference(self, status: u16) -> Value {
        let prefix = match self {
            Self::Problems => "Problem",
            Self::OpenAi => "OpenAi",
            Self::Text => "Text",
        };
        json!({ "$ref": format!("#/components/responses/{prefix}{status}") })
    }
}

/// The responses for errors, of every status and shape; `problem` and `open_ai` are the schemas of the bodies.
pub(super) fn responses(problem: &Value, open_ai: &Value) -> Map<String, Value> {
    let mut responses = Map::new();
    for (status, description, words) in STATUSES {
        // API Gateway's own refusals have but a message.
        let mut problems = json!({ "application/json": { "schema": {
            "type": "object", "properties": { "message": { "type": ["string", "null"] } },
        } } });
        if !words.is_empty() {
            let types: Vec<String> = words
                .iter()
                .map(|word| format!("urn:rappel:problem:{word}"))
                .collect();
            problems["application/problem+json"] = json!({ "schema": { "allOf": [
                problem,
                { "type": "object", "properties": { "type": { "enum": types }, "status": { "const": status } } },
            ] } });
        }
        let mut open_ais = problems.clone();
        open_ais["application/json"] =
            json!({ "schema": { "anyOf": [open_ai, problems["application/json"]["schema"]] } });
        let mut texts = problems.clone();
        texts["text/plain"] = json!({ "schema": { "type": "string" } });
        for (prefix, content) in [("Problem", problems), ("OpenAi", open_ais), ("Text", texts)] {
            let headers = headers::of_error(status);
            let response =
                json!({ "description": description, "headers": headers, "content": content });
            responses.insert(format!("{prefix}{status}"), response);
        }
    }
    responses
}

/// The header with the tenant that a caller acts for.
pub(super) fn tenant() -> Value {
    json!({
        "name": "Rappel-Tenant", "in": "header", "required": false,
        "description": "The tenant to act for: ASCII letters, digits and any of `._-:@`. Only a caller with `admin` for all \
                        tenants may name another one than its own.",
        "schema": { "type": "string", "maxLength": Tenant::MAX_BYTES },
    })
}

/// The description, the most characters, and an example of the parameter of a path.
pub(super) fn path_parameter(path: &str) -> (&'static str, usize, &'static str) {
    if path.starts_with("/documents") {
        let description = "The document's id. It may contain slashes, as they are or encoded.";
        return (description, DocumentId::MAX_CHARACTERS, "beach");
    }
    if path.starts_with("/sources") {
        let description =
            "The source's name: lower-case letters, digits, hyphens, underscores and points.";
        return (
            description,
            SourceDefinition::MAX_NAME_CHARACTERS,
            "articles",
        );
    }
    if path.starts_with("/keys") {
        return (
            "The key's id, which is not its text.",
            256,
            "key_3fYq0ZkR1bTc",
        );
    }
    if path.starts_with("/tenants") {
        let description = "The tenant's name: ASCII letters, digits and any of `._-:@`.";
        return (description, Tenant::MAX_BYTES, "acme");
    }
    if path.starts_with("/imports") {
        return (
            "The import's id.",
            256,
            "6f1c2a90-5d43-4b1e-9c57-0a2be8d1f3c4",
        );
    }
    if path.starts_with("/console") {
        return (
            "A file of the page, below its version.",
            256,
            "0123456789ab/app.js",
        );
    }
    ("The model's name.", 256, "multilingual-e5-small")
}
