//! Requests to `/chat` that are refused before the model is called.

use serde_json::{Value, json};
use tests::App;

use crate::{
    Outcome,
    chat::{app_with, ingest},
};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_language_model_all_else_works() -> Outcome {
    let app = App::start().await?;
    ingest(&app).await?;
    let answer = app
        .post("/chat", json!({ "question": "La plage ?" }))
        .await?;
    answer.problem(501, "language-model-missing")?;
    for variable in ["LLM_BASE_URL", "LLM_API_KEY", "LLM_MODEL"] {
        assert!(answer.text.contains(variable), "{}", answer.text);
    }
    assert_eq!(
        app.hits(json!({ "query": "La plage ?", "limit": 1 }))
            .await?
            .len(),
        1
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_that_is_wrong_is_named() -> Outcome {
    let (app, model) = app_with([], &[]).await?;
    let user = |content: &str| json!({ "role": "user", "content": content });
    let cases: [(Value, &[&str]); 20] = [
        (json!({}), &["question"]),
        (json!({ "question": " " }), &["question"]),
        (json!({ "question": "é".repeat(8_001) }), &["question"]),
        (
            json!({ "question": "a", "messages": [user("b")] }),
            &["question"],
        ),
        (json!({ "messages": [] }), &["messages"]),
        (
            json!({ "messages": [user("a"), user("")] }),
            &["messages[1].content"],
        ),
        (
            json!({ "messages": [{ "role": "assistant", "content": "a" }] }),
            &["messages[0].role"],
        ),
        (
            json!({ "messages": [{ "role": "system", "content": "a" }] }),
            &["messages"],
        ),
        (
            json!({ "messages": [{ "role": "robot", "content": "a" }] }),
            &["messages[0].role"],
        ),
        (
            json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }] }),
            &["messages[0].content[0]"],
        ),
        (
            json!({ "question": "a", "instructions": "b" }),
            &["instructions"],
        ),
        (
            json!({ "question": "a", "source_fields": ["a b"] }),
            &["source_fields[0]"],
        ),
        (
            json!({ "question": "a", "max_tokens": 5, "model": "b" }),
            &["model", "max_tokens"],
        ),
        (
            json!({ "messages": [{ "role": "user" }] }),
            &["messages[0].content"],
        ),
        (json!({ "question": "a", "limit": 0 }), &["limit"]),
        (json!({ "question": "a", "limit": 21 }), &["limit"]),
        (
            json!({ "question": "a", "max_distance": 2.1, "mode": "guess" }),
            &["mode", "max_distance"],
        ),
        (json!({ "question": "a", "expand": 11 }), &["expand"]),
        (json!({ "question": "a", "stream": "yes" }), &["stream"]),
        (
            json!({ "question": "a", "temperature": 1 }),
            &["temperature"],
        ),
    ];
    for (request, fields) in cases {
        let answer = app.post("/chat", request.clone()).await?;
        assert_eq!(answer.refused()?, fields, "{request}");
    }
    let accepted = json!({
        "messages": [user(&"é".repeat(100_000)), user(&"é".repeat(8_000))],
        "limit": 20, "max_distance": 0.0, "expand": 10, "stream": false,
    });
    // There is nothing to find, so nothing is asked but the question to search for.
    app.post("/chat", accepted).await?.success(200)?;
    assert!(
        model
            .asked()
            .iter()
            .all(|asked| !asked.body.to_string().contains("There are no sources."))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_function_url_accepts_only_post() -> Outcome {
    let (app, _model) = app_with([], &[]).await?;
    let answer = app.get("/chat", &[]).await?;
    answer.problem(405, "method-not-allowed")?;
    assert_eq!(answer.header("allow"), Some("POST"));
    Ok(())
}
