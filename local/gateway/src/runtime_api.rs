//! The Lambda Runtime API, and the part of the Extensions API that runtimes use, for one sandbox.

use std::{future::pending, sync::Arc};

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;

use super::{
    invocation::{FunctionError, Outcome},
    pool::Pool,
    requests::PAYLOAD_LIMIT,
    stream,
};

/// The API version in the path of the Runtime API.
const RUNTIME: &str = "/2018-06-01/runtime/";
/// The API version in the path of the Extensions API.
const EXTENSION: &str = "/2020-01-01/extension/";
/// Set by a runtime that streams its response.
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
/// Only one extension registers, so a constant identifier suffices.
const EXTENSION_ID: &str = "00000000-0000-4000-8000-000000000000";

/// An error reported by a runtime; AWS' runtimes add a stack trace.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ReportedError {
    error_type: String,
    error_message: String,
}

/// Responds to one request of a sandbox.
pub(super) async fn answer(
    pool: Arc<Pool>,
    sandbox: u64,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let post = parts.method == Method::POST;
    if let Some(call) = path.strip_prefix(RUNTIME) {
        match call
            .strip_prefix("invocation/")
            .and_then(|rest| rest.split_once('/'))
        {
            _ if call == "invocation/next" => return next(&pool, sandbox).await,
            _ if call == "init/error" && post => return init_error(&pool, sandbox, body).await,
            Some((id, "response")) if post => {
                return response(&pool, sandbox, id, &parts.headers, body).await;
            }
            Some((id, "error")) if post => return error(&pool, sandbox, id, body).await,
            _ => {}
        }
    }
    match path.strip_prefix(EXTENSION) {
        Some("register") if post => register(&pool, body).await,
        // Extensions get no invocation events; they learn of the shutdown by SIGTERM.
        Some("event/next") => pending().await,
        Some("init/error" | "exit/error") if post => {
            refusal(StatusCode::ACCEPTED, "OK", "accepted")
        }
        _ => refusal(
            StatusCode::NOT_FOUND,
            "UnknownCall",
            "the gateway does not implement this call",
        ),
    }
}

async fn next(pool: &Arc<Pool>, sandbox: u64) -> Response<Full<Bytes>> {
    // This sandbox is about to end: a response would only make it log an error.
    let Ok(event) = pool.next(sandbox).await else {
        return pending().await;
    };
    let function = &pool.function().binary;
    let arn = format!("arn:aws:lambda:eu-west-1:123456789012:function:{function}");
    let mut response = Response::new(Full::new(event.payload));
    for (name, value) in [
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", event.deadline.to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn response(
    pool: &Arc<Pool>,
    sandbox: u64,
    invocation: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Response<Full<Bytes>> {
    if headers
        .get(RESPONSE_MODE)
        .is_some_and(|mode| mode == "streaming")
    {
        return streamed(pool, sandbox, invocation, headers, body).await;
    }
    let read = Limited::new(body, PAYLOAD_LIMIT).collect().await;
    let Some(caller) = pool.caller(sandbox, invocation) else {
        return stale();
    };
    pool.finish(sandbox, invocation);
    match read {
        Ok(payload) => {
            let _ = caller.send(Outcome::Response(payload.to_bytes()));
            accepted()
        }
        Err(error) if error.is::<LengthLimitError>() => {
            let message =
                format!("its response is larger than Lambda's limit of {PAYLOAD_LIMIT} bytes");
            let failed = pool.failed("Function.ResponseSizeTooLarge", message.clone());
            let _ = caller.send(Outcome::Failed(failed));
            refusal(
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                &message,
            )
        }
        Err(error) => {
            let failed = pool.failed(
                "Runtime.BrokenResponse",
                format!("its response was cut off: {error}"),
            );
            let _ = caller.send(Outcome::Failed(failed));
            refusal(
                StatusCode::BAD_REQUEST,
                "BrokenResponse",
                "the response was cut off",
            )
        }
    }
}

/// Passes a stream on to the caller; the function gets its response when the stream has passed.
async fn streamed(
    pool: &Arc<Pool>,
    sandbox: u64,
    invocation: &str,
    headers: &HeaderMap,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let opened = stream::open(headers, body).await;
    let Some(caller) = pool.caller(sandbox, invocation) else {
        return stale();
    };
    let answer = match opened {
        Ok((response, passed)) => {
            // If the caller is gone, now or later, the stream is dropped, and the function then writes to a closed
            // connection.
            let _ = caller.send(Outcome::Stream(response));
            if passed.await.is_ok() {
                accepted()
            } else {
                stale()
            }
        }
        Err(why) => {
            let _ = caller.send(Outcome::Failed(
                pool.failed("Runtime.BrokenResponse", format!("it responded {why}")),
            ));
            refusal(StatusCode::BAD_REQUEST, "BrokenResponse", &why)
        }
    };
    pool.finish(sandbox, invocation);
    answer
}

async fn error(
    pool: &Arc<Pool>,
    sandbox: u64,
    invocation: &str,
    body: Incoming,
) -> Response<Full<Bytes>> {
    let error = reported(pool, body).await;
    let Some(caller) = pool.caller(sandbox, invocation) else {
        return stale();
    };
    pool.settings()
        .log
        .line(&format!("gateway: request {invocation}: {error}"));
    pool.finish(sandbox, invocation);
    let _ = caller.send(Outcome::Failed(error));
    accepted()
}

async fn init_error(pool: &Arc<Pool>, sandbox: u64, body: Incoming) -> Response<Full<Bytes>> {
    let error = reported(pool, body).await;
    pool.settings().log.line(&format!("gateway: init: {error}"));
    pool.init_failed(sandbox, error);
    accepted()
}

/// The error in a body, which may be empty.
async fn reported(pool: &Pool, body: Incoming) -> FunctionError {
    let read = Limited::new(body, PAYLOAD_LIMIT).collect().await;
    let body = read
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let error: ReportedError = serde_json::from_slice(&body).unwrap_or_default();
    let error_type = if error.error_type.is_empty() {
        "Runtime.Unknown"
    } else {
        &error.error_type
    };
    pool.failed(error_type, error.error_message)
}

/// Registers the extension through which `lambda_runtime` requests SIGTERM.
async fn register(pool: &Pool, body: Incoming) -> Response<Full<Bytes>> {
    // The content does not matter, but an unread body would close the connection.
    let _ = Limited::new(body, PAYLOAD_LIMIT).collect().await;
    let document = serde_json::json!({
        "functionName": pool.function().binary,
        "functionVersion": "$LATEST",
        "handler": "bootstrap",
        "accountId": "123456789012",
    });
    let mut response = Response::new(Full::from(document.to_string()));
    let headers = response.headers_mut();
    headers.insert(
        "lambda-extension-identifier",
        HeaderValue::from_static(EXTENSION_ID),
    );
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn accepted() -> Response<Full<Bytes>> {
    refusal(StatusCode::ACCEPTED, "OK", "noted")
}

/// Reports to a runtime that its invocation is over.
fn stale() -> Response<Full<Bytes>> {
    refusal(
        StatusCode::GONE,
        "InvalidRequestID",
        "the invocation has ended: its client disconnected",
    )
}

fn refusal(status: StatusCode, error_type: &str, message: &str) -> Response<Full<Bytes>> {
    let document = serde_json::json!({ "errorType": error_type, "errorMessage": message });
    let mut response = Response::new(Full::from(document.to_string()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
