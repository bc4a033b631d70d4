//! `POST /mcp`: the documents over the Model Context Protocol, stateless over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use lambda_http::{
    Body,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header::CONTENT_TYPE},
};
use mcp_server::{DocumentServer, unreadable};
use retrieval::SearchState;
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use shared::{
    Error,
    http::{self, BODY_LIMIT, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("mcp", handle).await
}

async fn handle(state: SearchState, request: Request) -> Result<Response, Error> {
    // Clients open a stream with GET and end a session with DELETE. This status tells them that there are none.
    if request.method() != Method::POST {
        let method = request.method().to_string();
        return Err(Error::Method {
            method,
            allowed: "POST",
        });
    }
    if is_json(request.headers())
        && let Some(failure) = unreadable(request.body().as_ref())
    {
        return http::respond(StatusCode::BAD_REQUEST, &failure);
    }
    let visibility = http::caller(&request)?.visibility.clone();
    let server = DocumentServer::new(state, visibility)
        .invoked(http::deadline(&request))
        .reading(request.body().as_ref());
    // API Gateway authorizes requests; on a laptop, the local gateway checks host and origin.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .disable_allowed_hosts()
        .disable_allowed_origins()
        .with_max_request_body_bytes(BODY_LIMIT);
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(server.clone()), sessions, config);
    let request = request.map(|body| Full::new(Bytes::from(body.to_vec())));
    let (mut head, body) = service.handle(request).await.into_parts();
    // As in all responses: some clients need the charset.
    if let Some(media_type) = head.headers.get_mut(CONTENT_TYPE)
        && media_type == "application/json"
    {
        *media_type = HeaderValue::from_static("application/json; charset=utf-8");
    }
    let body = body
        .collect()
        .await
        .map_or_else(|never| match never {}, Collected::to_bytes);
    // Results are JSON, refusals text, of which the SDK does not say so.
    let body = String::from_utf8_lossy(&body).into_owned();
    if !body.is_empty() {
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        head.headers.entry(CONTENT_TYPE).or_insert(text);
    }
    Ok(Response::from_parts(head, Body::Text(body)))
}

/// Whether the body is said to be JSON; the SDK refuses all others.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}
