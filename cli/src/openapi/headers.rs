//! The headers of responses.

use serde_json::{Map, Value, json};

/// The name, the name of the component, what it says, and its type.
const HEADERS: [(&str, &str, &str, &str); 9] = [
    (
        "X-Request-Id",
        "RequestId",
        "The id of the request, which the log has too.",
        "string",
    ),
    (
        "ETag",
        "ETag",
        "Changes with what it is the tag of: of a document its title, content and metadata.",
        "string",
    ),
    (
        "Cache-Control",
        "CacheControl",
        "How long a copy may be used.",
        "string",
    ),
    (
        "RateLimit",
        "RateLimit",
        "What is left of the limits of the key and its tenant, if they have any: `\"key\";r=59;t=23`.",
        "string",
    ),
    (
        "RateLimit-Policy",
        "RateLimitPolicy",
        "The limits of the key and its tenant, if they have any: `\"key\";q=60;w=60`.",
        "string",
    ),
    (
        "Retry-After",
        "RetryAfter",
        "Seconds to wait before a retry.",
        "integer",
    ),
    ("Allow", "Allow", "The methods of the route.", "string"),
    (
        "WWW-Authenticate",
        "Authenticate",
        "How to authenticate, or which scope is missing.",
        "string",
    ),
    (
        "Accept-Encoding",
        "AcceptEncoding",
        "How a body may be encoded.",
        "string",
    ),
];

/// The headers, as the components of a description.
pub(super) fn components() -> Map<String, Value> {
    let component = |(_, component, about, kind): (&str, &str, &str, &str)| {
        let header = json!({ "description": about, "schema": { "type": kind } });
        (component.to_owned(), header)
    };
    HEADERS.into_iter().map(component).collect()
}

/// The headers of a response, by their names.
pub(super) fn references(names: &[&str]) -> Map<String, Value> {
    let wanted = HEADERS.iter().filter(|(name, ..)| names.contains(name));
    let reference = |(name, component, ..): &(&str, &str, &str, &str)| {
        let path = format!("#/components/headers/{component}");
        ((*name).to_owned(), json!({ "$ref": path }))
    };
    wanted.map(reference).collect()
}

/// The headers of an error with a status.
pub(super) fn of_error(status: u16) -> Map<String, Value> {
    let more: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        405 => &["Allow"],
        415 => &["Accept-Encoding"],
        429 => &["Retry-After", "RateLimit", "RateLimit-Policy"],
        503 => &["Retry-After"],
        _ => &[],
    };
    let mut names = vec!["X-Request-Id"];
    names.extend(more);
    references(&names)
}
