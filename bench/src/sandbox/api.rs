//! A minimal Lambda Runtime API, with the required part of the Extensions API, so that only the function is
//! measured.

use std::{convert::Infallible, future::pending, time::Instant};

use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// Time limit of a function to start or respond.
pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_mins(2);

/// A function's request for its next event: its time, and where to send the event.
pub(super) type NextRequest = (Instant, oneshot::Sender<Event>);

/// An event for the function.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) payload: Bytes,
}

/// A function's response.
#[derive(Debug)]
pub(super) struct Answered {
    /// The time of its last byte.
    pub(super) at: Instant,
    /// The payload, or the reported error.
    pub(super) outcome: Result<Bytes, String>,
}

#[derive(Clone)]
struct Calls {
    asking: mpsc::UnboundedSender<NextRequest>,
    answering: mpsc::UnboundedSender<Answered>,
}

/// Serves the API of a sandbox; never returns.
pub(super) async fn serve(
    listener: TcpListener,
    asking: mpsc::UnboundedSender<NextRequest>,
    answering: mpsc::UnboundedSender<Answered>,
) {
    let calls = Calls { asking, answering };
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // Without TCP_NODELAY small responses wait for the peer's delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let calls = calls.clone();
        let service = service_fn(move |request| {
            let calls = calls.clone();
            async move { Ok::<_, Infallible>(answer(&calls, request).await) }
        });
        connections.spawn(async move {
            // A broken connection shows as the end of the function.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(calls: &Calls, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    let call = path.rsplit('/').next().unwrap_or_default();
    match (call, path.starts_with("/2018-06-01/runtime/")) {
        ("next", true) => return next(calls).await,
        // Extensions get no events: the sandbox is ended by a signal.
        ("next", false) => return pending().await,
        _ => {}
    }
    let read = body.collect().await;
    let at = Instant::now();
    let payload = read
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    match call {
        "register" if parts.method == Method::POST => return registered(),
        "response" => reply(calls, at, Ok(payload)),
        "error" => reply(
            calls,
            at,
            Err(String::from_utf8_lossy(&payload).into_owned()),
        ),
        _ => return status(StatusCode::NOT_FOUND),
    }
    status(StatusCode::ACCEPTED)
}

fn reply(calls: &Calls, at: Instant, outcome: Result<Bytes, String>) {
    // Nobody waits for a sandbox that is being ended.
    let _ = calls.answering.send(Answered { at, outcome });
}

async fn next(calls: &Calls) -> Response<Full<Bytes>> {
    let (sender, event) = oneshot::channel();
    if calls.asking.send((Instant::now(), sender)).is_err() {
        return pending().await;
    }
    let Ok(event) = event.await else {
        return pending().await;
    };
    let deadline = std::time::SystemTime::now() + PATIENCE;
    let deadline = deadline
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let mut response = Response::new(Full::new(event.payload));
    let headers = response.headers_mut();
    for (name, value) in [
        ("lambda-runtime-aws-request-id", event.id),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:eu-west-1:123456789012:function:search".to_owned(),
        ),
    ] {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn registered() -> Response<Full<Bytes>> {
    let document = r#"{"functionName":"search","functionVersion":"$LATEST","handler":"bootstrap"}"#;
    let mut response = Response::new(Full::from(document));
    let id = HeaderValue::from_static("00000000-0000-4000-8000-000000000000");
    response
        .headers_mut()
        .insert("lambda-extension-identifier", id);
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(r#"{"status":"OK"}"#));
    *response.status_mut() = status;
    response
}
