//! What the web sends: requests that are none, that stall, that come from pages of strangers.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::harness::Harness;

/// What the gateway answers to bytes, until it closes the connection: status, headers and document.
async fn answer(harness: &Harness, sent: Vec<u8>) -> (u16, String, Value) {
    let address = harness.gateway.url().replace("http://", "");
    let exchange = move || {
        let mut stream = TcpStream::connect(address).expect("the gateway listens");
        stream.write_all(&sent).expect("the gateway reads");
        let mut answer = Vec::new();
        stream
            .read_to_end(&mut answer)
            .expect("the gateway closes the connection in peace");
        String::from_utf8(answer).expect("the answer is text")
    };
    let answer = tokio::task::spawn_blocking(exchange)
        .await
        .expect("it ends");
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .expect("the answer has a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let document = serde_json::from_str(body).unwrap_or_default();
    (
        status.expect("a status"),
        head.to_ascii_lowercase(),
        document,
    )
}

fn assert_problem((status, head, document): &(u16, String, Value), expected: u16, word: &str) {
    assert_eq!(*status, expected, "{head} {document}");
    assert_eq!(
        document["type"],
        format!("urn:rappel:problem:{word}"),
        "{document}"
    );
    assert_eq!(document["status"], expected, "{document}");
    let id = document["request_id"]
        .as_str()
        .expect("the document has the id");
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
    assert!(
        head.contains("content-type: application/problem+json; charset=utf-8"),
        "{head}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_gets_a_problem_document_too() {
    let harness = Harness::start(20, |_| {}).await;
    let wrong = answer(&harness, b"HELLO\r\n\r\n".to_vec()).await;
    assert_problem(&wrong, 400, "malformed-request");
    let wrong = answer(
        &harness,
        b"GET /echo HTTP/1.1\r\nhost localhost\r\n\r\n".to_vec(),
    )
    .await;
    assert_problem(&wrong, 400, "malformed-request");
    let long = format!(
        "GET /echo HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    assert_problem(
        &answer(&harness, long.into()).await,
        431,
        "headers-too-large",
    );
    let many = format!(
        "GET /echo HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(300)
    );
    assert_problem(
        &answer(&harness, many.into()).await,
        431,
        "headers-too-large",
    );
    let long = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "x".repeat(70_000)
    );
    assert_problem(&answer(&harness, long.into()).await, 414, "url-too-long");

    // After a request that was one, on the same connection.
    let two = "GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\nHELLO\r\n\r\n";
    let (status, _, _) = answer(&harness, two.into()).await;
    assert_eq!(status, 404);
    harness.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_stalls_is_ended() {
    let harness = Harness::start(20, |options| options.stall = Duration::from_millis(300)).await;
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n";
    let stalled = answer(&harness, format!("{head}12345").into()).await;
    assert_problem(&stalled, 408, "body-stalled");
    let chunked = "POST /echo HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n";
    assert_problem(&answer(&harness, chunked.into()).await, 408, "body-stalled");
    assert_eq!(
        harness.sandboxes(),
        [0_u32; 0],
        "no function got half a body"
    );

    // A head that stalls has nobody to answer to.
    let address = harness.gateway.url().replace("http://", "");
    let closed = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).expect("the gateway listens");
        stream
            .write_all(b"GET /echo HT")
            .expect("the gateway reads");
        stream.read_to_end(&mut Vec::new())
    });
    closed
        .await
        .expect("it ends")
        .expect("the connection is closed in peace");
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_url_that_is_no_text_reaches_no_function() {
    let harness = Harness::start(20, |_| {}).await;
    for path in [
        "/documents/%E9tang",
        "/files/%ff%fe",
        "/files/%zz",
        "/files/%",
        "/echo?q=for%EAt",
        "/echo?%E9=1",
        "/echo?q=%2",
    ] {
        let (status, body) = harness.get(path).await;
        assert_eq!(
            (status, &body["type"]),
            (400, &json!("urn:rappel:problem:malformed-url")),
            "{path}"
        );
    }
    assert_eq!(harness.sandboxes(), [0_u32; 0]);
    let (status, body) = harness.get("/files/100%25?q=100%25").await;
    assert_eq!(
        (status, &body["parameters"]["proxy"], &body["query"]["q"]),
        (200, &json!("100%"), &json!("100%"))
    );
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_slash_too_many_finds_the_route() {
    let harness = Harness::start(20, |_| {}).await;
    let (status, _) = harness.get("/echo/").await;
    assert_eq!(status, 200);
    let (status, body) = harness.get("/nowhere/").await;
    assert_eq!(
        (status, &body["type"]),
        (404, &json!("urn:rappel:problem:unknown-path"))
    );
    harness.gateway.stop().await;
}

#[tokio::test]
async fn pages_of_strangers_reach_no_function() {
    let harness = Harness::start(20, |_| {}).await;
    for (host, origin, word) in [
        ("evil.example", None, "foreign-host"),
        (
            "evil.example:80",
            Some("http://evil.example"),
            "foreign-host",
        ),
        ("localhost", Some("http://evil.example"), "foreign-origin"),
        ("localhost", Some("null"), "foreign-origin"),
    ] {
        for method in [
            reqwest::Method::GET,
            reqwest::Method::POST,
            reqwest::Method::OPTIONS,
        ] {
            let mut request = harness
                .client
                .request(method, harness.url("/echo"))
                .header("host", host);
            if let Some(origin) = origin {
                request = request
                    .header("origin", origin)
                    .header("access-control-request-method", "POST");
            }
            let response = request.send().await.expect("the gateway answers");
            assert_eq!(response.status(), 403, "{host} {origin:?}");
            let headers = response.headers().clone();
            assert!(
                !headers.contains_key("access-control-allow-origin"),
                "{headers:?}"
            );
            let document: Value = response.json().await.expect("a problem document");
            assert_eq!(document["type"], format!("urn:rappel:problem:{word}"));
            assert_eq!(
                headers["x-request-id"],
                document["request_id"].as_str().expect("an id")
            );
        }
    }
    assert_eq!(harness.sandboxes(), [0_u32; 0]);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn pages_of_this_machine_and_of_a_named_origin_may_ask() {
    let harness = Harness::start(20, |options| {
        options.allow_origins = vec!["https://app.example".parse().expect("an origin")];
    })
    .await;
    for origin in [
        "http://localhost:5173",
        "http://127.0.0.1:3000",
        "https://app.example",
    ] {
        let asked = harness
            .client
            .request(reqwest::Method::OPTIONS, harness.url("/echo"))
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type")
            .send()
            .await
            .expect("the gateway answers");
        assert_eq!(asked.status(), 204, "{origin}");
        let header = |name: &str| {
            asked
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(header("access-control-allow-origin"), Some(origin));
        assert_eq!(header("access-control-allow-methods"), Some("GET, POST"));
        assert_eq!(header("access-control-allow-headers"), Some("content-type"));
        assert!(header("x-request-id").is_some());

        let found = harness
            .client
            .get(harness.url("/echo"))
            .header("origin", origin);
        let found = found.send().await.expect("the gateway answers");
        assert_eq!(found.status(), 200);
        assert_eq!(found.headers()["access-control-allow-origin"], origin);
        assert_eq!(found.headers()["vary"], "origin");
        // A refusal can be read, too.
        let missing = harness
            .client
            .get(harness.url("/nowhere"))
            .header("origin", origin);
        let missing = missing.send().await.expect("the gateway answers");
        assert_eq!(missing.status(), 404);
        assert_eq!(missing.headers()["access-control-allow-origin"], origin);
    }
    let by_name = harness
        .client
        .get(harness.url("/echo"))
        .header("host", "app.example");
    assert_eq!(
        by_name.send().await.expect("the gateway answers").status(),
        200
    );
    harness.gateway.stop().await;
}
