//! Language models that fail, and clients that disconnect.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{
    App,
    language_model::{Reply, Step},
    peak_memory,
};
use tokio::time::sleep;

use crate::{
    Outcome,
    chat::{app_with, ingest, unmigrated_app_with},
};

fn question() -> Value {
    json!({ "question": "Quand ferme la plage ?", "limit": 1 })
}

/// The text and the problem of an answer that fails midway.
async fn failure(app: &App) -> Result<(String, Value)> {
    let mut events = app.events("/chat", &question()).await?;
    events.expect("sources").await?;
    let (text, name, problem) = events.text().await?;
    assert_eq!(name, "failure", "{problem}");
    assert_eq!(
        events.expect("error").await?,
        problem,
        "its name until the next version"
    );
    assert!(events.next().await?.is_none(), "nothing follows an error");
    Ok((text, problem))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_model_is_retried_before_the_answer_begins() -> Outcome {
    let busy = |status, seconds| {
        Reply::Status(
            status,
            seconds,
            json!({ "error": { "code": "rate_limit" } }),
        )
    };
    let replies = [
        busy(429, Some(0)),
        busy(503, None),
        Reply::text(&["À 22 heures [1]."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let mut events = app.events("/chat", &question()).await?;
    events.expect("sources").await?;
    let (text, name, _) = events.text().await?;
    assert_eq!((text.as_str(), name.as_str()), ("À 22 heures [1].", "done"));
    assert_eq!(model.asked().len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_stays_busy_or_refuses_is_reported() -> Outcome {
    let busy = Reply::Status(429, Some(0), json!({}));
    let refused = Reply::Status(
        400,
        None,
        json!({ "error": { "message": "no plage for sk-test", "code": "content_policy_violation" } }),
    );
    let for_long = Reply::Status(503, Some(3_600), json!({}));
    let replies = [vec![busy; 8], vec![refused; 2], vec![for_long]].concat();
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let whole = json!({ "question": "Quand ferme la plage ?", "stream": false });

    assert_eq!(
        failure(&app).await?.1["type"],
        "urn:rappel:problem:language-model-busy"
    );
    assert_eq!(model.asked().len(), 4, "three attempts follow the first");
    let answer = app.post("/chat", whole.clone()).await?;
    answer.problem(503, "language-model-busy")?;
    assert!(answer.header("retry-after").is_some());

    assert_eq!(
        failure(&app).await?.1["type"],
        "urn:rappel:problem:language-model-filtered"
    );
    app.post("/chat", whole)
        .await?
        .problem(502, "language-model-filtered")?;
    assert_eq!(model.asked().len(), 10, "a refusal is final");

    assert_eq!(
        failure(&app).await?.1["type"],
        "urn:rappel:problem:language-model-busy"
    );
    assert_eq!(model.asked().len(), 11, "nobody waits an hour");
    let logged = app.logged()?;
    assert!(logged.contains("content_policy_violation"), "{logged}");
    assert!(
        !logged.contains("sk-test") && !logged.contains("plage"),
        "{logged}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_cut_off_ends_with_an_error() -> Outcome {
    let broken = [
        (
            Step::Data(
                r#"{"error": {"message": "overloaded", "type": "server_error", "code": 500}}"#,
            ),
            "failed",
        ),
        (
            Step::Data(r#"{"error": {"message": "slow down", "code": 429}}"#),
            "busy",
        ),
        (Step::Cut, "cut"),
        (Step::Close, "cut"),
        (Step::Data("{\"choices\": [{\"delta\": "), "unreadable"),
    ];
    let (steps, words): (Vec<_>, Vec<_>) = broken.into_iter().unzip();
    let replies = steps
        .into_iter()
        .map(|step| Reply::Stream(vec![Step::Text("À 22"), step]));
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for word in &words {
        let (text, problem) = failure(&app).await?;
        assert_eq!(text, "À 22", "what was said stays said");
        assert_eq!(
            problem["type"],
            format!("urn:rappel:problem:language-model-{word}")
        );
    }
    assert_eq!(
        model.asked().len(),
        words.len(),
        "what has begun is not asked again"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_model_times_out() -> Outcome {
    let replies = [
        Reply::Stream(vec![Step::Hang]),
        Reply::Stream(vec![Step::Text("À 22"), Step::Hang]),
    ];
    let (app, model) = app_with(replies, &[("LLM_TIMEOUT_MS", "300")]).await?;
    ingest(&app).await?;
    for said in ["", "À 22"] {
        let (text, problem) = failure(&app).await?;
        assert_eq!(text, said);
        assert_eq!(problem["type"], "urn:rappel:problem:language-model-silent");
        assert_eq!(problem["status"], 504);
    }
    model.reader_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_stops_the_model() -> Outcome {
    let steps = vec![Step::Text("À 22"), Step::Hang];
    let settings = [("LLM_TIMEOUT_MS", "600000"), ("CHAT_HEARTBEAT_MS", "100")];
    let (app, model) = app_with([Reply::Stream(steps), Reply::text(&["Oui."])], &settings).await?;
    ingest(&app).await?;
    let mut events = app.events("/chat", &question()).await?;
    events.expect("sources").await?;
    events.expect("delta").await?;
    drop(events);
    model.reader_left().await?;

    // The sandbox is free for the next reader.
    let mut events = app.events("/chat", &question()).await?;
    events.expect("sources").await?;
    assert_eq!(events.text().await?.0, "Oui.");
    assert_eq!(app.sandboxes("chat").len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_slows_the_model_down_and_fills_no_memory() -> Outcome {
    let (app, model) = app_with(
        [Reply::text(&["Oui."]), Reply::Stream(vec![Step::Flood])],
        &[],
    )
    .await?;
    ingest(&app).await?;
    // The model is loaded and the heap as large as an answer needs.
    app.events("/chat", &question()).await?.text().await?;
    let sandbox = *app
        .sandboxes("chat")
        .first()
        .context("a sandbox answered")?;
    let before = peak_memory(sandbox)?;

    // Nothing is read beyond the head. The text stops when the sockets on its way are full.
    let response = app.open("/chat", &question()).await?;
    let mut flooded = 0;
    let stopped = async {
        loop {
            sleep(Duration::from_millis(500)).await;
            let now = model.flooded();
            if now == flooded && now > 0 {
                return;
            }
            flooded = now;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), stopped)
        .await
        .context("the text never stops")?;
    let grown = peak_memory(sandbox)?.saturating_sub(before);
    assert!(
        grown < 8 << 20,
        "{grown} bytes more for {flooded} that were written"
    );
    drop(response);
    model.reader_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unavailable_database_is_reported_before_the_answer_begins() -> Outcome {
    let (app, model) = unmigrated_app_with(
        [],
        &[("DATABASE_URL", "postgres://nobody@127.0.0.1:1/away")],
    )
    .await?;
    let answer = app.post("/chat", question()).await?;
    answer.problem(503, "database-refused")?;
    assert!(answer.header("retry-after").is_some());
    assert!(model.asked().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_may_be_a_secret_in_aws_and_be_rotated() -> Outcome {
    let secret = |key: &str| {
        Reply::Status(
            200,
            None,
            json!({ "SecretString": json!({ "key": key }).to_string() }),
        )
    };
    let keeper =
        tests::language_model::LanguageModel::replying([secret("sk-old"), secret("sk-new")])
            .await?;
    let url = keeper.url();
    let settings = [
        (
            "LLM_API_KEY",
            "arn:aws:secretsmanager:eu-west-3:123456789012:secret:llm-AbCdEf#key",
        ),
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", url.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
    ];
    let stale = Reply::Status(401, None, json!({ "error": { "code": "invalid_api_key" } }));
    let replies = [Reply::text(&["Un."]), stale, Reply::text(&["Deux."])];
    let (app, model) = app_with(replies, &settings).await?;
    ingest(&app).await?;
    for said in ["Un.", "Deux."] {
        let mut events = app.events("/chat", &question()).await?;
        events.expect("sources").await?;
        assert_eq!(events.text().await?.0, said);
    }
    let keys: Vec<_> = model
        .asked()
        .into_iter()
        .filter_map(|asked| asked.authorization)
        .collect();
    assert_eq!(keys, ["Bearer sk-old", "Bearer sk-old", "Bearer sk-new"]);
    let fetched = keeper.asked();
    assert_eq!(fetched.len(), 2, "a key is kept until it is refused");
    assert_eq!(
        fetched[0].target.as_deref(),
        Some("secretsmanager.GetSecretValue")
    );
    let signature = fetched[0].authorization.as_deref().unwrap_or_default();
    assert!(
        signature.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"),
        "{signature}"
    );
    let logged = app.logged()?;
    assert!(
        !logged.contains("sk-old") && !logged.contains("sk-new"),
        "{logged}"
    );
    Ok(())
}
