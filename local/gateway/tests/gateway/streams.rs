//! Streamed responses.

use std::{fs, path::Path, time::Duration};

use crate::harness::{Harness, PATIENCE, arrived, eventually, is_alive};

/// A gateway whose function streams.
async fn streaming() -> Harness {
    Harness::start(60, |options| {
        options.environment = vec![("STREAMING".to_owned(), "1".to_owned())];
        options.max_sandboxes = 1;
    })
    .await
}

async fn send(harness: &Harness, path: &str) -> reqwest::Response {
    let response = harness
        .client
        .get(harness.url(path))
        .send()
        .await
        .expect("the gateway answers");
    assert_eq!(response.status(), 207);
    assert!(
        response.headers().contains_key("x-process"),
        "the prelude has the headers"
    );
    response
}

/// The number of chunks that the function has sent.
fn sent(progress: &Path) -> u64 {
    fs::metadata(progress)
        .map(|file| file.len())
        .unwrap_or_default()
}

/// Waits until the function stops sending, and returns the number of chunks it sent.
async fn standstill(progress: &Path) -> u64 {
    let wait = async {
        loop {
            let before = sent(progress);
            tokio::time::sleep(Duration::from_millis(500)).await;
            if before > 0 && sent(progress) == before {
                return before;
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait)
        .await
        .expect("the function never stopped sending")
}

#[tokio::test]
async fn the_first_byte_arrives_before_the_last_is_written() {
    let harness = streaming().await;
    let progress = harness.folder.path().join("progress");
    let until = harness.folder.path().join("until");
    let path = format!(
        "/echo?count=5&size=3&progress={}&until={}",
        progress.display(),
        until.display()
    );
    let mut response = send(&harness, &path).await;
    let first = response
        .chunk()
        .await
        .expect("the stream is whole")
        .expect("it has a first chunk");
    assert!(sent(&progress) < 5, "the function had written everything");
    fs::write(until, "").expect("the temporary folder is writable");
    let mut length = first.len();
    while let Some(chunk) = response.chunk().await.expect("the stream is whole") {
        length += chunk.len();
    }
    assert_eq!(length, 15);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_slow_reader_makes_the_function_wait() {
    let harness = streaming().await;
    let progress = harness.folder.path().join("progress");
    let path = format!(
        "/echo?count=400&size=1000000&progress={}",
        progress.display()
    );
    let mut response = send(&harness, &path).await;
    let stood = standstill(&progress).await;
    assert!(
        stood < 200,
        "{stood} MB were read from the function though the client read nothing"
    );
    let mut length = 0;
    while let Some(chunk) = response.chunk().await.expect("the stream is whole") {
        length += chunk.len();
    }
    assert_eq!((length, sent(&progress)), (400_000_000, 400));
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_stream() {
    let harness = streaming().await;
    let progress = harness.folder.path().join("progress");
    let path = format!(
        "/echo?count=100000&every=5&size=10&progress={}",
        progress.display()
    );
    let mut response = send(&harness, &path).await;
    response.chunk().await.expect("the stream has begun");
    drop(response);
    let stood = standstill(&progress).await;
    assert!(stood < 100_000, "the function wrote to the end");
    let again = send(&harness, "/echo?count=2").await;
    assert_eq!(again.bytes().await.expect("the stream is whole").len(), 12);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_before_its_stream_begins_ends_what_is_made_for_it() {
    let harness = Harness::start(60, |options| {
        options.environment = vec![("STREAMING".to_owned(), "1".to_owned())];
        // The function has a URL that streams.
        let template = fs::read_to_string(&options.template).expect("it was just written");
        let url = "MemorySize: 256\n      FunctionUrlConfig: { InvokeMode: RESPONSE_STREAM }";
        let template = template.replace("MemorySize: 256", url);
        fs::write(&options.template, template).expect("the temporary folder is writable");
    })
    .await;
    let arrivals = harness.arrivals("arrivals");
    let path = format!("/echo_function?sleep=60000&arrive={}", arrivals.display());
    let request = harness.client.get(harness.url(&path)).send();
    tokio::select! {
        answered = request => panic!("it sleeps for longer: {answered:?}"),
        () = eventually("the request arrives", || arrived(&arrivals) == 1) => {}
    }
    let sandboxes = harness.sandboxes();
    assert_eq!(sandboxes.len(), 1);
    eventually("its sandbox is forgotten", || {
        harness.sandboxes().is_empty()
    })
    .await;
    assert!(!is_alive(sandboxes[0]), "the process works on");
    let log = harness.log();
    assert!(log.contains("its client disconnected"), "{log}");
    let again = send(&harness, "/echo_function?count=2").await;
    assert_eq!(again.bytes().await.expect("the stream is whole").len(), 12);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_function_that_dies_within_its_stream_closes_the_connection() {
    let harness = streaming().await;
    let response = send(&harness, "/echo?count=5&die=2&every=50").await;
    response.bytes().await.expect_err("the stream is not whole");
    eventually("the sandbox is removed", || harness.sandboxes().is_empty()).await;
    let again = send(&harness, "/echo?count=2").await;
    assert_eq!(again.bytes().await.expect("the stream is whole").len(), 12);
    harness.gateway.stop().await;
}

#[tokio::test]
async fn a_sandbox_serves_one_stream_after_the_other() {
    let harness = streaming().await;
    let mut processes = Vec::new();
    for _ in 0..10 {
        let response = send(&harness, "/echo?count=3&size=4").await;
        processes.push(response.headers()["x-process"].clone());
        assert_eq!(
            response.bytes().await.expect("the stream is whole").len(),
            12
        );
    }
    processes.dedup();
    assert_eq!(processes.len(), 1);
    harness.gateway.stop().await;
}
