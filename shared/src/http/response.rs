//! Responses.

use document_store::{ANSWER_LIMIT, Etag};
use lambda_http::{
    Body,
    http::{HeaderValue, StatusCode, header},
};
use serde::Serialize;
use telemetry::{self, chain};

use super::Response;
use crate::{Error, problem::Problem};

/// The media type of responses. The JSON standard requires UTF-8, but some clients need the charset.
const JSON: &str = "application/json; charset=utf-8";
/// The media type of errors, RFC 9457.
const PROBLEM_JSON: &str = "application/problem+json; charset=utf-8";

/// 200 with a JSON body.
///
/// # Errors
/// When the body cannot be serialised, which is a bug.
pub fn ok(body: &impl Serialize) -> Result<Response, Error> {
    respond(StatusCode::OK, body)
}

/// 201 with a JSON body.
///
/// # Errors
/// When the body cannot be serialised, which is a bug.
pub fn created(body: &impl Serialize) -> Result<Response, Error> {
    respond(StatusCode::CREATED, body)
}

/// Adds the entity tag of the document.
#[must_use]
pub fn tagged(mut response: Response, etag: &Etag) -> Response {
    if let Ok(etag) = HeaderValue::try_from(etag.to_string()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// 204 without a body.
#[must_use]
pub fn empty() -> Response {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 304: the caller has this state of the document.
#[must_use]
pub fn not_modified(etag: &Etag) -> Response {
    let mut response = empty();
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    tagged(response, etag)
}

/// Any status with a JSON body.
///
/// # Errors
/// [`Error::AnswerTooLarge`], or when the body cannot be serialised, which is a bug.
pub fn respond(status: StatusCode, body: &impl Serialize) -> Result<Response, Error> {
    let json = serde_json::to_string(body)
        .map_err(|error| Error::Internal(format!("serialising a response: {error}")))?;
    // Lambda wraps the body in a JSON string: each quote and each backslash takes one more byte.
    let escaped = json.bytes().filter(|byte| b"\"\\".contains(byte)).count();
    let bytes = json.len() + escaped;
    if bytes > ANSWER_LIMIT {
        return Err(Error::AnswerTooLarge {
            bytes,
            limit: ANSWER_LIMIT,
        });
    }
    Ok(response(status, JSON, json))
}

/// The problem document of an error. Errors are logged only here: the type in the request's log line, and the
/// cause unless the client made the error.
#[must_use]
pub fn report(error: &Error) -> Problem {
    let problem = Problem {
        request_id: telemetry::request_id(),
        ..Problem::from(error)
    };
    telemetry::failed(&problem.r#type, problem.status);
    let (status, r#type) = (problem.status, &problem.r#type);
    if status >= 500 {
        tracing::error!(status, r#type, cause = %chain(error), "the request failed");
    }
    problem
}

/// Ends every request that is not streamed: an error becomes a problem document.
pub(super) fn finish(outcome: Result<Response, Error>, request_id: &str) -> Response {
    let mut response = outcome.unwrap_or_else(|error| render(&report(&error)));
    telemetry::answered(response.status().as_u16());
    identify(&mut response, request_id);
    response
}

pub(super) fn identify<B>(response: &mut lambda_http::Response<B>, request_id: &str) {
    if let Ok(id) = HeaderValue::from_str(request_id) {
        response.headers_mut().insert("x-request-id", id);
    }
}

fn render(problem: &Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = serde_json::to_string(problem).unwrap_or_default();
    let mut response = response(status, PROBLEM_JSON, json);
    if let Some(seconds) = problem.retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(Ok(how)) = problem.authenticate.as_deref().map(HeaderValue::try_from) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    }
    if let Some(methods) = problem.allow {
        response
            .headers_mut()
            .insert(header::ALLOW, HeaderValue::from_static(methods));
    }
    if let Some(codings) = problem.accept_encoding {
        response
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, HeaderValue::from_static(codings));
    }
    response
}

fn response(status: StatusCode, content_type: &'static str, json: String) -> Response {
    let mut response = Response::new(Body::Text(json));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
