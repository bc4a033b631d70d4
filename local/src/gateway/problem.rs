//! The gateway's own answers, as RFC 9457 problem documents.
//!
//! API Gateway answers with `{"message": ...}` and tells less: a known path with another method is a 404
//! there; a function that fails, dies or misses its limit is a 500 of an HTTP API. Here the status
//! tells them apart. A function at its concurrency limit is a 503 in both, though Lambda says 429 to the
//! API.

use http_body_util::{Either, Full};
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, HeaderValue},
};

use super::requests::ClientBody;

/// A problem to answer a client with.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// The end of the problem's type, `urn:rappel:problem:<word>`.
    word: &'static str,
    title: &'static str,
    detail: String,
    allow: Option<String>,
}

impl Problem {
    pub(super) fn unknown_path(path: &str) -> Self {
        let detail = format!("No route of the template matches the path {path}.");
        Self::new(
            StatusCode::NOT_FOUND,
            "unknown-path",
            "Unknown path",
            detail,
        )
    }

    pub(super) fn method_not_allowed(method: &str, allowed: &[&str]) -> Self {
        let allow = allowed.join(", ");
        let detail = format!("This path does not take {method}; it takes {allow}.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self {
            allow: Some(allow),
            ..Self::new(status, "method-not-allowed", "Method not allowed", detail)
        }
    }

    pub(super) fn unreadable_body() -> Self {
        let detail = "The connection ended within the body.".to_owned();
        Self::new(
            StatusCode::BAD_REQUEST,
            "unreadable-body",
            "Unreadable body",
            detail,
        )
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let detail =
            format!("The body is larger than Lambda's limit of {limit} bytes; send it in parts.");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "Body too large",
            detail,
        )
    }

    pub(super) fn function_failed(detail: String) -> Self {
        Self::new(
            StatusCode::BAD_GATEWAY,
            "function-failed",
            "The function failed",
            detail,
        )
    }

    pub(super) fn too_busy(detail: String) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too-busy",
            "No sandbox is free",
            detail,
        )
    }

    pub(super) fn deadline(detail: String) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "deadline",
            "The function missed its deadline",
            detail,
        )
    }

    fn new(status: StatusCode, word: &'static str, title: &'static str, detail: String) -> Self {
        Self {
            status,
            word,
            title,
            detail,
            allow: None,
        }
    }

    pub(super) fn into_response(self) -> Response<ClientBody> {
        let document = serde_json::json!({
            "type": format!("urn:rappel:problem:{}", self.word),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = Response::new(Either::Left(Full::from(document.to_string())));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(allow) = self
            .allow
            .and_then(|allow| HeaderValue::from_str(&allow).ok())
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}
