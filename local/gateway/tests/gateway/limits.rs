//! The limits on payloads and on sandboxes.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::json;

use crate::harness::Harness;

/// Lambda's limit on a payload.
const LIMIT: usize = 6 * 1024 * 1024;

/// Sends a whole request before it reads anything, as simple clients do, and returns the answer.
fn write_then_read(harness: &Harness, head: &str, chunks: &[Vec<u8>]) -> String {
    let address = harness.gateway.url().replace("http://", "");
    let mut stream = TcpStream::connect(address).expect("the gateway listens");
    stream
        .write_all(head.as_bytes())
        .expect("the gateway reads the head");
    for chunk in chunks {
        stream
            .write_all(chunk)
            .expect("the gateway goes on reading the body that it refused");
    }
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("the gateway closes the connection in peace");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_and_the_client_can_read_why() {
    let harness = Harness::start(20, |_| {}).await;
    let post = |size: usize| {
        harness
            .client
            .post(harness.url("/echo"))
            .body(vec![b'x'; size])
            .send()
    };
    assert_eq!(
        post(LIMIT).await.expect("the gateway answers").status(),
        200
    );
    let refused = post(LIMIT + 1).await.expect("the gateway answers");
    assert_eq!(refused.status(), 413);

    let size = 10 * LIMIT;
    let head = format!(
        "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n"
    );
    let answer = write_then_read(&harness, &head, &[vec![b'x'; size]]);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut chunk = b"100000\r\n".to_vec();
    chunk.extend(vec![b'x'; 0x10_0000]);
    chunk.extend(b"\r\n");
    let mut chunks = vec![chunk; 40];
    chunks.push(b"0\r\n\r\n".to_vec());
    let answer = write_then_read(&harness, head, &chunks);
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.contains("body-too-large"),
        "{answer}"
    );
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_response_over_the_limit_is_a_502_and_the_sandbox_goes_on() {
    let harness = Harness::start(20, |_| {}).await;
    let process = harness.process("/echo").await;
    let (status, body) = harness.get(&format!("/echo?size={LIMIT}")).await;
    assert_eq!(
        status, 502,
        "with its envelope the response is over the limit"
    );
    let detail = body["detail"].as_str().expect("a problem has a detail");
    assert!(detail.contains("6291456"), "{detail}");
    let url = harness.url(&format!("/echo?size={}", LIMIT - 1000));
    let large = harness
        .client
        .get(url)
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(
        large.bytes().await.expect("the body is whole").len(),
        LIMIT - 1000
    );
    assert_eq!(harness.process("/echo").await, process);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn who_waits_in_line_for_too_long_gets_a_503() {
    let harness = Harness::start(1, |options| options.max_sandboxes = 1).await;
    // One occupies the one sandbox from before its init until after its time limit of a second; which one is
    // not known.
    let path = "/echo?sleep=60000";
    let (first, second) = tokio::join!(harness.get(path), harness.get(path));
    let mut outcomes = [first, second].map(|(status, body)| (status, body["type"].clone()));
    outcomes.sort_by_key(|(status, _)| *status);
    let expected = [(503, "too-busy"), (504, "deadline")];
    let expected =
        expected.map(|(status, word)| (status, json!(format!("urn:rappel:problem:{word}"))));
    assert_eq!(outcomes, expected);
    harness.process("/echo").await;
    harness.gateway.stop().await;
}
