//! Sandboxes that fail, die or hang.

use std::time::{Duration, Instant};

use gateway::{Gateway, Logs, Options, STALL};
use serde_json::json;

use crate::harness::{FUNCTION, Harness, PATIENCE, arrived, eventually, is_alive, kill};

#[tokio::test]
async fn an_error_or_a_panic_costs_the_request_and_not_the_sandbox() {
    let harness = Harness::start(20, |_| {}).await;
    let process = harness.process("/echo").await;
    for path in ["/echo?error=no+luck", "/echo?panic"] {
        let (status, body) = harness.get(path).await;
        assert_eq!(
            (status, &body["type"]),
            (502, &json!("urn:rappel:problem:function-failed")),
            "{path}"
        );
    }
    assert!(harness.log().contains("no luck"), "{}", harness.log());
    assert_eq!(harness.process("/echo").await, process);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_sandbox_that_dies_at_work_is_a_502_at_once_and_is_replaced() {
    let harness = Harness::start(60, |_| {}).await;
    let (status, body) = harness.get("/echo?exit=7").await;
    assert_eq!(status, 502, "{body}");
    let detail = body["detail"].as_str().expect("a problem has a detail");
    assert!(detail.contains("exit status: 7"), "{detail}");
    let second = harness.process("/echo").await;

    let started = Instant::now();
    let folder = harness.arrivals("arrivals");
    let path = format!("/echo?sleep=50000&arrive={}", folder.display());
    let (busy, ()) = tokio::join!(harness.get(&path), async {
        eventually("the request is under way", || arrived(&folder) == 1).await;
        kill(second);
    });
    assert_eq!(busy.0, 502, "{}", busy.1);
    assert!(
        started.elapsed() < PATIENCE,
        "the caller waited for the deadline"
    );
    assert_ne!(harness.process("/echo").await, second);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_sandbox_that_dies_idle_costs_nobody_anything() {
    let harness = Harness::start(20, |_| {}).await;
    let first = harness.process("/echo").await;
    kill(first);
    eventually("the gateway notices", || harness.sandboxes().is_empty()).await;
    assert_ne!(harness.process("/echo").await, first);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_sandbox_that_does_not_start_is_a_502_and_its_last_words_are_logged() {
    let harness = Harness::start(20, |options| {
        options.environment = vec![("BREAK_INIT".to_owned(), "1".to_owned())];
    });
    let harness = harness.await;
    for _ in 0..2 {
        let (status, body) = harness.get("/echo").await;
        assert_eq!(status, 502, "{body}");
    }
    let log = harness.log();
    let line = log
        .lines()
        .find(|line| line.starts_with("gateway:"))
        .expect("the gateway logs it");
    assert!(
        line.contains("exit status: 3") && line.contains("the test told me not to start"),
        "{line}"
    );
    assert_eq!(harness.sandboxes(), [0_u32; 0]);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_missed_deadline_is_a_504_and_the_sandbox_is_killed() {
    let harness = Harness::start(1, |_| {}).await;
    let process = harness.process("/echo").await;
    let (status, body) = harness.get("/echo?sleep=60000").await;
    assert_eq!(
        (status, &body["type"]),
        (504, &json!("urn:rappel:problem:deadline"))
    );
    eventually("the sandbox is gone", || !is_alive(process)).await;
    assert_ne!(harness.process("/echo").await, process);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_free_a_busy_sandbox() {
    let harness = Harness::start(20, |options| options.max_sandboxes = 1).await;
    let process = harness.process("/echo").await;
    let request = harness.client.get(harness.url("/echo?sleep=1000"));
    let gone = tokio::time::timeout(Duration::from_millis(200), request.send()).await;
    assert!(gone.is_err(), "the function sleeps for longer");
    // It waits for the end of what the other client left behind; two at once would end the function.
    assert_eq!(harness.process("/echo").await, process);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_missing_binary_is_named_at_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let template = folder.path().join("template.yaml");
    std::fs::write(&template, include_str!("template.yaml"))
        .expect("the temporary folder is writable");
    let started = Gateway::start(Options {
        template,
        binaries: folder.path().to_owned(),
        environment: Vec::new(),
        address: ([127, 0, 0, 1], 0).into(),
        allow_origins: Vec::new(),
        stall: STALL,
        max_sandboxes: 1,
        idle: Duration::from_mins(1),
        logs: Logs::Discard,
        resources: None,
    });
    let error = started.await.expect_err("there is no binary").to_string();
    assert!(
        error.contains(FUNCTION) && error.contains("bootstrap"),
        "{error}"
    );
}
