//! Requests to moto's server, which believes whoever asks.

use std::env;

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tokio::net::TcpStream;

/// What stays as it is in a path.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The region that the functions are told.
#[must_use]
pub fn region() -> String {
    env::var("AWS_REGION").unwrap_or_else(|_| "eu-west-1".to_owned())
}

/// A call in AWS's JSON protocol.
pub(super) async fn json(endpoint: &str, target: &str, body: &Value) -> anyhow::Result<Value> {
    let request = Request::post("/")
        .header("x-amz-target", target)
        .header(header::CONTENT_TYPE, "application/x-amz-json-1.0");
    let scope = format!("{}/sqs", region());
    let answer = send(endpoint, &scope, request, body.to_string().into())
        .await
        .with_context(|| format!("in {target}"))?;
    serde_json::from_slice(&answer).with_context(|| format!("{target} was not answered with JSON"))
}

/// Writes an object, `bucket/key`, or makes a bucket.
pub(super) async fn put(endpoint: &str, path: &str, content: Vec<u8>) -> anyhow::Result<()> {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(format!("/{}", utf8_percent_encode(path, PATH)))
        .header(header::CONTENT_TYPE, "application/octet-stream");
    // Only there a bucket is made without naming its region; every region may read it.
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
    // By the scope of the credential the server knows which service is meant; nobody checks the signature.
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=local/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=0"
    );
    let request = request
        .header(header::HOST, host)
        .header(header::AUTHORIZATION, authorization)
        .body(Full::new(body))?;
    let stream = TcpStream::connect(host)
        .await
        .with_context(|| format!("nobody answers at {endpoint}"))?;
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
