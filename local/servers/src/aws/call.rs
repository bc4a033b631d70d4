//! Requests to moto's server, which checks no signatures.

use std::env;

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;

/// Characters that are not escaped in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The AWS region that the functions get.
#[must_use]
pub fn region() -> String {
    env::var("AWS_REGION").unwrap_or_else(|_| "eu-west-1".to_owned())
}

/// A call in AWS' JSON protocol.
pub(super) async fn json(endpoint: &str, target: &str, body: &Value) -> anyhow::Result<Value> {
    let request = Request::post("/")
        .header("x-amz-target", target)
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
    let scope = format!("{}/sqs", region());
    let answer = send(endpoint, &scope, request, body.to_string().into())
        .await
        .with_context(|| format!("in {target}"))?;
    serde_json::from_slice(&answer).with_context(|| format!("the response to {target} is not JSON"))
}

/// Writes an object, `bucket/key`, or creates a bucket.
pub(super) async fn put(
    endpoint: &str,
    path: &str,
    content: Vec<u8>,
    content_type: &str,
) -> anyhow::Result<()> {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/{}", utf8_percent_encode(path, PATH)))
        .header(header::CONTENT_TYPE, content_type);
    // Only in us-east-1 is a bucket created without naming its region; every region can read it.
    send(endpoint, "us-east-1/s3", request, content.into())
        .await
        .with_context(|| format!("in PUT /{path}"))
        .map(drop)
}

async fn send(
    endpoint: &str,
    scope: &str,
    request: hyper::http::request::Builder,
    body: Bytes,
) -> anyhow::Result<Bytes> {
    let host = endpoint.trim_start_matches("http://");
    // moto derives the service from the credential scope; it does not check the signature.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=local/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let request = request
        .header(header::HOST, host)
        .header(header::AUTHORIZATION, authorization)
        .body(Full::new(body))?;
    let stream = TcpStream::connect(host)
        .await
        .with_context(|| format!("no response from {endpoint}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    connection.abort();
    ensure!(
        status.is_success(),
        "status {status}: {}",
        String::from_utf8_lossy(&body)
    );
    Ok(body)
}
