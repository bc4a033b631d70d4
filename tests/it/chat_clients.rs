//! Proxies and delays between a chat and its client.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::json;
use servers::nginx::Nginx;
use tests::language_model::{Reply, Step};
use tokio::time::timeout;

use crate::{
    Outcome,
    chat::{app_with, ingest},
};

/// Until then everything that is on its way has come.
const HANG: Duration = Duration::from_mins(1);

/// Reads until `text` has come.
async fn read_until(response: &mut reqwest::Response, read: &mut String, text: &str) -> Outcome {
    while !read.contains(text) {
        let bytes = timeout(HANG, response.chunk())
            .await
            .context("silence for a minute")??;
        let bytes = bytes.with_context(|| format!("the stream ended before {text:?}: {read}"))?;
        *read += std::str::from_utf8(&bytes)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_through_nginx() -> Outcome {
    let steps = vec![
        Step::Text("Oui"),
        Step::Wait,
        Step::Text(", monsieur."),
        Step::Finish("stop"),
    ];
    let (app, model) = app_with([Reply::Stream(steps)], &[]).await?;
    ingest(&app).await?;
    let nginx = Nginx::before(&app.url()).await?;
    let asked = json!({ "question": "La plage ferme-t-elle ?" });
    let request = reqwest::Client::new()
        .post(format!("{}/chat", nginx.url()))
        .json(&asked);
    let mut response = timeout(HANG, request.send()).await.context("no head")??;
    let mut read = String::new();
    read_until(&mut response, &mut read, "{\"text\":\"Oui\"}").await?;
    assert!(!read.contains("monsieur"), "{read}");
    model.go_on();
    read_until(&mut response, &mut read, "event: done").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_has_its_first_byte_before_it_is_rewritten() -> Outcome {
    let rewriting = vec![
        Step::Wait,
        Step::Text("Quand ferme la plage ?"),
        Step::Finish("stop"),
    ];
    let replies = [Reply::Stream(rewriting), Reply::text(&["À 22 heures [1]."])];
    let (app, model) = app_with(replies, &[("CHAT_CONDENSE_TIMEOUT_MS", "60000")]).await?;
    ingest(&app).await?;
    let asked = json!({ "messages": [
        { "role": "user", "content": "La plage ?" },
        { "role": "assistant", "content": "Elle est belle." },
        { "role": "user", "content": "Quand ferme-t-elle ?" },
    ] });
    let mut response = app.open("/chat", &asked).await?;
    let mut read = String::new();
    read_until(&mut response, &mut read, ": still working\n\n").await?;
    read_until(&mut response, &mut read, "event: retrieval\n").await?;
    assert!(!read.contains("event: sources"), "{read}");
    model.go_on();
    read_until(&mut response, &mut read, "event: done").await?;
    assert!(
        read.contains("{\"query\":\"Quand ferme la plage ?\""),
        "{read}"
    );
    Ok(())
}
