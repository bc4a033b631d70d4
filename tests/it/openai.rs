//! Clients of `OpenAI`'s API: chat completions and embeddings.

mod embeddings;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    Answer, App, Clients,
    language_model::{LanguageModel, Reply, Step},
};

use crate::{Outcome, chat::app_with};

const QUESTION: &str = "Quand ferme la plage ?";
const SAID: &str = "À 22 heures [1].";
const BEACH: &str = "https://ville.example/plage";

/// Two documents, one of which has an address on the web, beside a model with these replies.
async fn town(replies: Vec<Reply>, settings: &[(&str, &str)]) -> Result<(App, LanguageModel)> {
    let (app, model) = app_with(replies, settings).await?;
    app.ingest(vec![
        json!({ "id": "plage", "title": "Plage", "content": "La plage ferme à 22 heures en été.",
            "metadata": { "url": BEACH } }),
        json!({ "id": "pain", "title": "Pain", "content": "Le pain de seigle cuit une heure." }),
    ])
    .await?;
    Ok((app, model))
}

fn asked(more: Value) -> Value {
    let mut request =
        json!({ "model": "rappel", "messages": [{ "role": "user", "content": QUESTION }] });
    if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
        request.extend(more);
    }
    request
}

fn said() -> Reply {
    Reply::text(&["À 22 heures", " [1]."])
}

fn read(answer: &Answer) -> Result<Value> {
    Ok(serde_json::from_str(&answer.text)?)
}

/// Checks an error in the shape of `OpenAI`'s, and answers it.
fn refusal(answer: &Answer, status: u16, code: &str) -> Result<Value> {
    assert_eq!(answer.status, status, "{}", answer.text);
    let error = read(answer)?["error"].clone();
    assert_eq!(error["code"], code, "{error}");
    let kind = if status < 500 {
        "invalid_request_error"
    } else {
        "server_error"
    };
    assert_eq!(error["type"], kind, "{error}");
    assert!(error["message"].is_string(), "{error}");
    Ok(error)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_python_and_langchain_chat_and_embed() -> Outcome {
    let cut = Reply::Stream(vec![Step::Text("À 22"), Step::Cut]);
    let replies = vec![
        said(),
        said(),
        said(),
        said(),
        cut,
        Reply::Status(401, None, json!({})),
    ];
    let (app, model) = town(replies, &[]).await?;
    let clients = Clients::installed().await?;
    let script = include_str!("clients/completions.py");
    let url = format!("{}/v1", app.url());
    let read: Value = serde_json::from_str(&clients.python(script, &url, &[]).await?)?;
    let annotation = json!({ "start_index": 12, "end_index": 15, "url": BEACH, "title": "Plage" });
    for way in ["whole", "streamed"] {
        let read = &read[way];
        assert_eq!(read["text"], SAID, "{way}");
        assert_eq!(read["finish_reason"], "stop", "{way}");
        assert_eq!(read["usage"], 12, "{way}");
        assert_eq!(read["annotations"], json!([annotation]), "{way}");
        assert_eq!(read["sources"][0], "plage", "{way}");
    }
    assert_eq!(
        read["whole"]["sources"],
        json!(["plage"]),
        "one was asked for"
    );
    assert_eq!(read["langchain"], SAID);
    assert_eq!(read["langchain_streamed"], SAID);
    assert_eq!(read["models"], json!(["rappel", "multilingual-e5-small"]));
    assert_eq!(read["model"], "rappel");
    assert_eq!(read["embeddings"]["lengths"], json!([384, 384]));
    assert_eq!(read["embeddings"]["same"], true);
    assert!(read["embeddings"]["tokens"].as_u64() > Some(6), "{read}");
    assert_eq!(
        read["errors"],
        json!({
            "model": ["NotFoundError", "model_not_found", "model"],
            "messages": ["BadRequestError", "invalid_request", "messages"],
            "stream": ["APIError", "language_model_cut", null],
            "whole": ["InternalServerError", "language_model_key", null],
            "tokens": ["BadRequestError", "invalid_request", "input"],
        })
    );
    let request = model.asked()[0].body.to_string();
    assert!(request.contains("Be brief."), "{request}");
    assert!(
        !request.contains("temperature"),
        "the service chooses: {request}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_of_node_chats_and_embeds() -> Outcome {
    let (app, _model) = town(vec![said(), said()], &[]).await?;
    let clients = Clients::installed().await?;
    let script = include_str!("clients/completions.mjs");
    let url = format!("{}/v1", app.url());
    let read: Value = serde_json::from_str(&clients.node(script, &url, &[]).await?)?;
    assert_eq!(
        read,
        json!({
            "models": ["rappel", "multilingual-e5-small"],
            "whole": SAID,
            "streamed": SAID,
            "finish_reason": "stop",
            "usage": 12,
            "dimensions": 384,
            "error": ["NotFoundError", 404, "model_not_found"],
        })
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_parameters_are_ignored_and_unsupported_ones_are_refused() -> Outcome {
    let (app, model) = town(vec![said()], &[]).await?;
    // The fields of Open WebUI, LibreChat and LobeChat.
    let answer = app
        .post(
            "/v1/chat/completions",
            asked(json!({
                "stream": false, "temperature": 0.7, "top_p": 1, "frequency_penalty": 0, "presence_penalty": 0,
                "max_tokens": 4096, "stop": null, "seed": 7, "user": "u-1", "metadata": { "chat_id": "c" }, "n": 1,
                "tools": [], "tool_choice": "auto", "response_format": { "type": "text" }, "logit_bias": {},
                "parallel_tool_calls": true, "reasoning_effort": "low", "store": false, "session_id": "s",
            })),
        )
        .await?
        .success(200)?;
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["message"]["content"], SAID);
    for (field, value) in [
        ("n", json!(2)),
        ("stop", json!(["a", "b", "c", "d", "e"])),
        ("logprobs", json!(true)),
        ("modalities", json!(["text", "audio"])),
        ("response_format", json!({ "type": "json_object" })),
        ("tool_choice", json!("required")),
        ("messages", json!(null)),
        ("limit", json!(21)),
        ("stream", json!("yes")),
    ] {
        let answer = app
            .post("/v1/chat/completions", asked(json!({ field: value })))
            .await?;
        let error = refusal(&answer, 400, "invalid_request").context(field)?;
        assert_eq!(error["param"], field, "{error}");
    }
    assert_eq!(
        model.asked().len(),
        1,
        "nothing that is refused costs anything"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_endpoint_gave_up_is_not_said_to_be_whole() -> Outcome {
    let ends = |reason| Reply::Stream(vec![Step::Text("À 22"), Step::Finish(reason)]);
    let replies = vec![ends("insufficient_system_resource"), ends("eos_token")];
    let (app, _model) = town(replies, &[]).await?;
    for expected in ["length", "stop"] {
        let answer = app
            .post("/v1/chat/completions", asked(json!({})))
            .await?
            .success(200)?;
        assert_eq!(answer["choices"][0]["finish_reason"], expected);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_ends_before_a_sequence_that_the_caller_names() -> Outcome {
    let said = || Reply::text(&["À 22 heures [1].\nObser", "vation: non [2]."]);
    let (app, model) = town(vec![said(), said()], &[]).await?;
    let stop = json!(["\nObservation:", "###"]);
    let whole = app
        .post("/v1/chat/completions", asked(json!({ "stop": stop })))
        .await?
        .success(200)?;
    assert_eq!(whole["choices"][0]["message"]["content"], SAID);
    assert_eq!(whole["choices"][0]["finish_reason"], "stop");
    let request = asked(json!({ "stop": stop, "stream": true }));
    let streamed = app.post("/v1/chat/completions", request).await?.text;
    assert!(
        streamed.contains("\"finish_reason\":\"stop\""),
        "{streamed}"
    );
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
    assert!(!streamed.contains("Obser"), "{streamed}");
    // Many reasoning models refuse the field.
    for asked in model.asked() {
        assert_eq!(asked.body["stop"], Value::Null);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_relevant_sources_the_model_is_not_called() -> Outcome {
    let (app, model) = town(vec![], &[]).await?;
    let question =
        json!({ "messages": [{ "role": "user", "content": "Combien de lunes a Jupiter ?" }] });
    let answer = app.post("/v1/chat/completions", asked(question)).await?;
    let answer = answer.success(200)?;
    assert_eq!(answer["sources"], json!([]));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["usage"]["total_tokens"], 0);
    assert!(model.asked().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_set_only_allowed_parameters() -> Outcome {
    let settings = [("CHAT_CALLER_PARAMETERS", "model,temperature,max_tokens")];
    let (app, model) = town(vec![said()], &settings).await?;
    let request =
        asked(json!({ "model": "large", "temperature": 0.5, "max_completion_tokens": 99 }));
    let answer = app
        .post("/v1/chat/completions", request)
        .await?
        .success(200)?;
    assert_eq!(answer["model"], "large");
    let body = &model.asked()[0].body;
    assert_eq!(
        (&body["model"], &body["temperature"]),
        (&json!("large"), &json!(0.5))
    );
    assert!(body.to_string().contains(":99"), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_retriever_finds_documents_for_langchain() -> Outcome {
    let (app, _model) = town(vec![], &[]).await?;
    let documentation = include_str!("../../docs/clients.md");
    let (_, recipe) = documentation
        .split_once("```python retriever\n")
        .context("a recipe")?;
    let (recipe, _) = recipe.split_once("```").context("its end")?;
    let script = format!(
        "{recipe}\nimport json, sys\nretriever = RappelRetriever(url=sys.argv[1], limit=1)\n\
         print(json.dumps([[found.id, found.page_content, found.metadata] for found in retriever.invoke({QUESTION:?})]))"
    );
    let clients = Clients::installed().await?;
    let read: Value = serde_json::from_str(&clients.python(&script, &app.url(), &[]).await?)?;
    let found = read[0].as_array().context("a document")?;
    assert_eq!(
        (&found[0], &found[2]["title"], &found[2]["url"]),
        (&json!("plage"), &json!("Plage"), &json!(BEACH))
    );
    assert_eq!(found[1], "La plage ferme à 22 heures en été.");
    assert!(found[2]["relevance"].as_f64() > Some(0.2), "{read}");
    Ok(())
}
