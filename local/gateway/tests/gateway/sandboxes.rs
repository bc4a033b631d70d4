//! Requests and events, and which sandbox gets them.

use std::{collections::BTreeSet, net::TcpStream, time::Duration};

use futures_util::future::join_all;
use gateway::FunctionError;
use serde_json::json;

use crate::harness::{FUNCTION, Harness, eventually, examples, is_alive};

#[tokio::test]
async fn a_request_reaches_the_function_and_its_answer_the_client() {
    let harness = Harness::start(20, |_| {}).await;
    let url = harness.url("/documents/caf%C3%A9%2Fa?q=l%27%C3%A9t%C3%A9&tag=x");
    let response = harness
        .client
        .get(url)
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(response.status(), 200);
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    assert!(response.headers().contains_key("apigw-requestid"));
    let body: serde_json::Value = response
        .json()
        .await
        .expect("the function answers with JSON");
    assert_eq!(body["parameters"], json!({ "id": "café/a" }));
    assert_eq!(body["query"], json!({ "q": "l'été", "tag": "x" }));
    let left = body["milliseconds_left"]
        .as_f64()
        .expect("the deadline is a number");
    assert!(
        (1.0..=20_000.0).contains(&left),
        "{left} ms are left of 20 s"
    );

    let (status, body) = harness.get("/documents/a/b%25c/").await;
    assert_eq!(
        (status, &body["parameters"]),
        (200, &json!({ "id": "a/b%c/" }))
    );
    let (status, body) = harness.get("/files/a/b%20c").await;
    assert_eq!(
        (status, &body["parameters"]),
        (200, &json!({ "proxy": "a/b c" }))
    );
    let post = harness
        .client
        .post(harness.url("/echo"))
        .body(vec![0xff; 1000]);
    let post = post.send().await.expect("the gateway answers");
    let body: serde_json::Value = post.json().await.expect("the function answers with JSON");
    assert_eq!(
        (&body["method"], &body["body_length"]),
        (&json!("POST"), &json!(1000))
    );
    harness.gateway.stop().await;
}

#[tokio::test]
async fn paths_and_methods_that_are_not_in_the_template() {
    let harness = Harness::start(20, |_| {}).await;
    let (status, body) = harness.get("/nowhere").await;
    assert_eq!(
        (status, &body["type"]),
        (404, &json!("urn:rappel:problem:unknown-path"))
    );
    assert_eq!(body["status"], 404);

    let response = harness
        .client
        .delete(harness.url("/echo"))
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["allow"], "GET, POST");
    assert_eq!(
        response.headers()["content-type"],
        "application/problem+json; charset=utf-8"
    );
    assert!(response.headers().contains_key("x-request-id"));

    let options = harness
        .client
        .request(reqwest::Method::OPTIONS, harness.url("/echo"));
    let response = options.send().await.expect("the gateway answers");
    assert_eq!(
        (response.status().as_u16(), &response.headers()["allow"]),
        (204, &"GET, POST".parse().expect("it is ASCII"))
    );
    assert!(response.headers().contains_key("x-request-id"));
    assert_eq!(
        harness.sandboxes(),
        [0_u32; 0],
        "no request was for the function"
    );

    let keys: Vec<_> = harness
        .gateway
        .routes()
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    assert_eq!(
        keys,
        [
            "GET /echo",
            "POST /echo",
            "GET /documents/{id+}",
            "ANY /files/{proxy+}"
        ]
    );
    harness.gateway.stop().await;
}

/// The path of a request that is answered when there are `count` like it.
fn together(harness: &Harness, count: usize) -> String {
    let folder = harness.arrivals("together");
    format!("/echo?arrive={}&together={count}", folder.display())
}

#[tokio::test]
async fn one_request_after_the_other_is_one_sandbox() {
    let harness = Harness::start(20, |_| {}).await;
    let first = harness.process("/echo").await;
    for _ in 0..50 {
        assert_eq!(harness.process("/echo").await, first);
    }
    assert_eq!(harness.sandboxes(), [first]);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn requests_at_once_have_a_sandbox_each_up_to_the_limit() {
    let harness = Harness::start(20, |options| options.max_sandboxes = 3).await;
    let path = together(&harness, 3);
    let together = join_all((0..3).map(|_| harness.process(&path))).await;
    assert_eq!(
        BTreeSet::from_iter(together).len(),
        3,
        "each slept in a process of its own"
    );

    let crowd = join_all((0..12).map(|_| harness.process("/echo?sleep=20"))).await;
    let known = BTreeSet::from_iter(harness.sandboxes());
    assert_eq!(known.len(), 3);
    assert!(
        crowd.iter().all(|process| known.contains(process)),
        "the others waited in line"
    );
    harness.gateway.stop().await;
}

#[tokio::test]
async fn idle_sandboxes_are_ended() {
    let harness = Harness::start(1, |options| options.idle = Duration::from_millis(300)).await;
    let first = harness.process("/echo").await;
    eventually("the idle sandbox is ended", || {
        !is_alive(first) && harness.sandboxes().is_empty()
    })
    .await;
    assert_ne!(harness.process("/echo").await, first);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn events_can_be_sent_without_http() {
    let harness = Harness::start(20, |_| {}).await;
    let event = json!({
        "version": "2.0", "routeKey": "GET /echo", "rawPath": "/echo", "rawQueryString": "error=broken",
        "headers": {}, "isBase64Encoded": false,
        "requestContext": { "http": { "method": "GET", "path": "/echo" }, "stage": "$default" }
    });
    let error = harness
        .gateway
        .invoke(FUNCTION, event.clone())
        .await
        .expect_err("the function fails");
    let error: &FunctionError = error.downcast_ref().expect("it is the function's error");
    assert!(error.error_message.contains("broken"), "{error:?}");

    let mut event = event;
    event["rawQueryString"] = json!("");
    let invocation = harness
        .gateway
        .invoke("EchoFunction", event)
        .await
        .expect("the function answers");
    assert_eq!(invocation.payload["statusCode"], 200);
    let error = harness
        .gateway
        .invoke("nobody", json!({}))
        .await
        .expect_err("there is no such function");
    assert!(error.to_string().contains(FUNCTION), "{error}");
    harness.gateway.stop().await;
}

#[tokio::test]
async fn stopping_leaves_no_process_and_no_port() {
    let harness = Harness::start(20, |options| {
        let folder = options
            .template
            .parent()
            .expect("the template is in a folder");
        options.environment = vec![("GOODBYE_FOLDER".to_owned(), folder.display().to_string())];
    });
    let harness = harness.await;
    let path = together(&harness, 3);
    join_all((0..3).map(|_| harness.process(&path))).await;
    let processes = harness.sandboxes();
    assert_eq!(processes.len(), 3);
    let address = harness.gateway.url().replace("http://", "");
    harness.gateway.stop().await;
    for process in processes {
        assert!(!is_alive(process), "process {process} is left");
        let goodbye = harness.folder.path().join(process.to_string());
        assert!(goodbye.is_file(), "process {process} was not asked to end");
    }
    assert!(
        TcpStream::connect(address).is_err(),
        "the port is still open"
    );
}

#[tokio::test]
async fn dropping_the_gateway_ends_its_sandboxes_too() {
    let harness = Harness::start(20, |_| {}).await;
    let process = harness.process("/echo").await;
    let address = harness.gateway.url().replace("http://", "");
    drop(harness.gateway);
    eventually("the sandbox and the port are gone", || {
        !is_alive(process) && TcpStream::connect(&address).is_err()
    })
    .await;
}

#[tokio::test]
async fn binaries_may_lie_as_sam_build_leaves_them() {
    let built = tempfile::tempdir().expect("a temporary folder can be made");
    let function = built.path().join("EchoFunction");
    std::fs::create_dir(&function).expect("the temporary folder is writable");
    std::os::unix::fs::symlink(examples().join(FUNCTION), function.join("bootstrap"))
        .expect("the temporary folder is writable");
    let harness = Harness::start(20, |options| options.binaries = built.path().to_owned()).await;
    harness.process("/echo").await;
    harness.gateway.stop().await;
}
