//! `POST /mcp`: the documents for programs that speak the Model Context Protocol, statelessly over HTTP.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Collected, Full};
use lambda_http::{
    Body,
    http::{HeaderValue, Method, header::CONTENT_TYPE},
};
use mcp_server::DocumentServer;
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
    // Clients look for a stream with GET and end a session with DELETE. There are none, which this status tells them.
    if request.method() != Method::POST {
        let method = request.method().to_string();
        return Err(Error::Method {
            method,
            allowed: "POST",
        });
    }
    let server = DocumentServer::new(state).invoked(http::deadline(&request));
    // Who may ask is for API Gateway to say, and on a laptop for its gateway, which looks at host and origin.
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
    // As all answers have it: not every client takes JSON for UTF-8.
    if let Some(media_type) = head.headers.get_mut(CONTENT_TYPE)
        && media_type == "application/json"
    {
        *media_type = HeaderValue::from_static("application/json; charset=utf-8");
    }
    let body = body
        .collect()
        .await
        .map_or_else(|never| match never {}, Collected::to_bytes);
    // A result is JSON, and a refusal text.
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Response::from_parts(head, Body::Text(body)))
}
