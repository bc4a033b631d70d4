//! The gateway's own error responses, as RFC 9457 problem documents.
//!
//! API Gateway answers with `{"message": ...}` and less detail: a known path with another method is a 404,
//! and a function that fails, dies or misses its limit is always a 500. Here the statuses differ. A function
//! at its concurrency limit is a 503 in both, though Lambda itself reports 429.

use std::time::Duration;

use http_body_util::{Either, Full};
use hyper::{
    Response, StatusCode,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};

use super::stream::ClientBody;

/// The media type.
pub(super) const CONTENT: &str = "application/problem+json; charset=utf-8";

/// A problem to respond with.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// The last part of the problem's type, `urn:rappel:problem:<word>`.
    word: &'static str,
    title: &'static str,
    detail: String,
    allow: Option<String>,
    /// Seconds to wait before a retry.
    retry_after: Option<u32>,
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
        let detail = format!("The path does not support {method}; it supports {allow}.");
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self {
            allow: Some(allow),
            ..Self::new(status, "method-not-allowed", "Method not allowed", detail)
        }
    }

    pub(super) fn malformed_url() -> Self {
        let detail = "The URL contains percent-escapes that are not UTF-8.".to_owned();
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-url",
            "The URL is not valid",
            detail,
        )
    }

    /// The problem for an unreadable request with this status.
    pub(super) fn unreadable(status: StatusCode) -> Self {
        let (word, title, detail) = match status {
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
                "headers-too-large",
                "The headers are too large",
                "The request line and headers exceed the gateway's limit.",
            ),
            StatusCode::URI_TOO_LONG => (
                "url-too-long",
                "The URL is too long",
                "The URL is longer than 65,534 bytes; send the parameters in a body.",
            ),
            _ => (
                "malformed-request",
                "The request is not HTTP",
                "The request line or a header cannot be read as HTTP/1.1.",
            ),
        };
        Self::new(status, word, title, detail.to_owned())
    }

    pub(super) fn stalled_body(limit: Duration) -> Self {
        let detail = format!(
            "No data of the request body arrived for {:.1} seconds.",
            limit.as_secs_f64()
        );
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-stalled",
            "The body stalled",
            detail,
        )
    }

    pub(super) fn foreign_host(host: &str) -> Self {
        let detail = format!(
            "The host {host:?} is not this machine's: requests go to localhost or 127.0.0.1. Allow a web page's host \
             name with `rappel up --allow-origin`."
        );
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-host",
            "The host is not this machine's",
            detail,
        )
    }

    pub(super) fn foreign_origin(origin: &str) -> Self {
        let detail =
            format!("The origin {origin:?} is not allowed; `rappel up --allow-origin` allows it.");
        Self::new(
            StatusCode::FORBIDDEN,
            "foreign-origin",
            "The origin is not allowed",
            detail,
        )
    }

    pub(super) fn unreadable_body() -> Self {
        let detail = "The connection closed before the end of the body.".to_owned();
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
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self {
            // Clients take a 503 of Rappel that names no time for one that lasts.
            retry_after: Some(1),
            ..Self::new(status, "too-busy", "No sandbox is free", detail)
        }
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
            retry_after: None,
        }
    }

    /// The JSON document for the request with this id.
    pub(super) fn document(&self, id: &str) -> String {
        let mut document = serde_json::json!({
            "type": format!("urn:rappel:problem:{}", self.word),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
            "request_id": id,
        });
        if let Some(seconds) = self.retry_after {
            document["retry_after"] = seconds.into();
        }
        document.to_string()
    }

    pub(super) fn into_response(self, id: &str) -> Response<ClientBody> {
        let document = self.document(id);
        let mut response = Response::new(Either::Left(Full::from(document)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT));
        // The rest of an unread body would be parsed as the next request.
        if self.status == StatusCode::REQUEST_TIMEOUT {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if let Some(allow) = self
            .allow
            .and_then(|allow| HeaderValue::from_str(&allow).ok())
        {
            headers.insert(ALLOW, allow);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_without_a_free_sandbox_says_when_to_try_again() {
        let problem = Problem::too_busy("all are busy".to_owned());
        let document = problem.document("a");
        assert!(document.contains(r#""retry_after":1"#), "{document}");
        let response = problem.into_response("a");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        let lasting = Problem::function_failed("it fails".to_owned());
        assert!(!lasting.document("a").contains("retry_after"));
    }
}
