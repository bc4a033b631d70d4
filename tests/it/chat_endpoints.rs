//! Endpoints with `OpenAI`-compatible APIs, each with its own deviations.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tests::{
    App,
    language_model::{Reply, Step},
};

use crate::{
    Outcome,
    chat::{answered, app_with, ingest},
};

const EVENTS: &str = "content-type: text/event-stream";

pub(crate) fn question() -> Value {
    json!({ "question": "Quand ferme la plage ?", "limit": 1 })
}

/// The text of an answer and the last event.
pub(crate) async fn answer(app: &App) -> Result<(String, String, Value)> {
    answered(app, &question()).await
}

fn piece(content: &Value) -> String {
    let chunk = json!({ "choices": [{ "index": 0, "delta": { "content": content } }] });
    format!("data: {chunk}\n\n")
}

const STOP: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_survives_deviations_from_the_protocol() -> Outcome {
    let (first, second) = (piece(&json!("À 22 ")), piece(&json!("heures [1].")));
    let whole = json!({ "choices": [{ "message": { "content": "À 22 heures [1]." }, "finish_reason": "stop" }] });
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(format!("{first}{second}{STOP}{DONE}").as_bytes())?;
    let bodies: Vec<(&str, &'static str, Vec<u8>)> = vec![
        ("an end without a reason", EVENTS, format!("{first}{second}{DONE}").into()),
        ("a reason without an end", EVENTS, format!("{first}{second}{STOP}").into()),
        ("no blank line at the end", EVENTS, format!("{first}{second}{}", STOP.trim_end()).into()),
        ("a blank after the end", EVENTS, format!("{first}{second}data: [DONE] \n\n").into()),
        ("one line break between", EVENTS, format!("{first}{second}{STOP}").replace("\n\n", "\n").into()),
        ("carriage returns", EVENTS, format!("{first}{second}{STOP}").replace('\n', "\r").into()),
        ("odd counts", EVENTS, format!("{first}{second}{STOP}data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":null,\"completion_tokens\":2.5}}}}\n\n{DONE}").into()),
        ("an error after the end", EVENTS, format!("{first}{second}{STOP}data: {{\"error\":{{\"message\":\"late\"}}}}\n\n").into()),
        ("rubbish after the end", EVENTS, format!("{first}{second}{STOP}data: {{\"cho").into()),
        ("pings", EVENTS, format!(": hi\n\ndata: null\n\n{first}data:\n\nevent: ping\ndata: ping\n\n{second}{STOP}").into()),
        ("parts", EVENTS, format!("{}{STOP}", piece(&json!([{ "type": "text", "text": "À 22 " }, { "type": "text", "text": "heures [1]." }]))).into()),
        ("a byte order mark", EVENTS, format!("\u{feff}{first}{second}{STOP}").into()),
        ("one document", "content-type: application/json", serde_json::to_string_pretty(&whole)?.into()),
        ("the document after the stream", EVENTS, format!("{first}{second}data: {whole}\n\n").into()),
        ("a reason with each piece", EVENTS, format!("{first}{second}").replace("\"index\":0", "\"index\":0,\"finish_reason\":\"STOP\"").trim_end().into()),
        ("one document in a stream", EVENTS, format!("data: {whole}\n\n").into()),
        ("lines of JSON", "content-type: application/x-ndjson", format!("{first}{second}{STOP}").replace("data: ", "").replace("\n\n", "\n").into()),
        ("compressed", "content-type: text/event-stream\r\ncontent-encoding: gzip", gzip.finish()?),
    ];
    let replies = bodies
        .iter()
        .map(|(_, head, body)| Reply::Raw(head, body.clone()));
    let (app, _model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for (name, ..) in &bodies {
        let (text, end, data) = answer(&app).await?;
        assert_eq!(
            (text.as_str(), end.as_str()),
            ("À 22 heures [1].", "done"),
            "{name}: {data}"
        );
        assert_eq!(data["cited"], json!([1]), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_byte_becomes_one_replacement_character() -> Outcome {
    let body = [
        b"data: {\"choices\":[{\"delta\":{\"content\":\"\xe0 22 heures.\"}}]}\n\n",
        STOP.as_bytes(),
    ]
    .concat();
    let (app, _model) = app_with([Reply::Raw(EVENTS, body)], &[]).await?;
    ingest(&app).await?;
    assert_eq!(answer(&app).await?.0, "\u{fffd} 22 heures.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_restarts_the_timeout() -> Outcome {
    let queued = std::iter::repeat_n(Step::Comment, 8);
    let steps = queued
        .chain([Step::Text("Oui."), Step::Finish("stop")])
        .collect();
    let (app, _model) = app_with([Reply::Stream(steps)], &[("LLM_TIMEOUT_MS", "1000")]).await?;
    ingest(&app).await?;
    assert_eq!(answer(&app).await?.0, "Oui.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finish_reason_with_each_piece_does_not_end_the_answer() -> Outcome {
    let pieces = [
        r#"{"choices":[{"delta":{"reasoning_content":"Hm"},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":"À 22 "},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"delta":{"content":"heures."},"finish_reason":"stop"}]}"#,
    ];
    // The pauses are longer than the wait for the token count.
    let paused = pieces.into_iter().flat_map(|piece| {
        let pause = std::iter::repeat_n(Step::Comment, 8);
        pause.chain([Step::Data(piece)])
    });
    let steps = paused.chain([Step::Finish("length")]).collect();
    let (app, _model) = app_with([Reply::Stream(steps)], &[]).await?;
    ingest(&app).await?;
    let (text, _, done) = answer(&app).await?;
    assert_eq!(text, "À 22 heures.");
    assert_eq!(done["finish_reason"], "length", "the last one counts");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_answer_is_an_error_with_its_reason() -> Outcome {
    let nothing = |step| Reply::Stream(vec![step, Step::Finish("stop")]);
    let empty = [
        (
            Reply::Stream(vec![Step::Finish("content_filter")]),
            "filtered",
        ),
        (Reply::Stream(vec![Step::Finish("SAFETY")]), "filtered"),
        (Reply::Stream(vec![Step::Finish("length")]), "exhausted"),
        (Reply::text(&["<think>Hm, and so on"]), "empty"),
        (
            nothing(Step::Data(
                r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#,
            )),
            "tool-call",
        ),
        (Reply::Stream(vec![Step::Data("[DONE]")]), "empty"),
        (
            Reply::Raw("content-type: text/html", b"<html>Sign in</html>".to_vec()),
            "unreadable",
        ),
    ];
    let (replies, words): (Vec<_>, Vec<_>) = empty.into_iter().unzip();
    let refusal = nothing(Step::Data(
        r#"{"choices":[{"delta":{"refusal":"I cannot."}}]}"#,
    ));
    let cut = Reply::Stream(vec![Step::Text("À 22"), Step::Finish("MAX_TOKENS")]);
    let replies = replies
        .iter()
        .cloned()
        .chain(replies.clone())
        .chain([refusal, cut]);
    let (app, _model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for word in &words {
        let (text, end, problem) = answer(&app).await?;
        assert_eq!((text.as_str(), end.as_str()), ("", "failure"), "{word}");
        assert_eq!(
            problem["type"],
            format!("urn:rappel:problem:language-model-{word}")
        );
    }
    let mut whole = question();
    whole["stream"] = json!(false);
    for word in &words {
        let failed = app.post("/chat", whole.clone()).await?;
        failed.problem(502, &format!("language-model-{word}"))?;
    }
    for (said, reason) in [("I cannot.", "refusal"), ("À 22", "length")] {
        let (text, end, done) = answer(&app).await?;
        assert_eq!((text.as_str(), end.as_str()), (said, "done"));
        assert_eq!(done["finish_reason"], reason);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preset_sets_the_form_of_a_request() -> Outcome {
    let settings = [
        ("LLM_PRESET", "azure"),
        ("LLM_HEADERS", r#"{"x-team": "search"}"#),
        ("CHAT_CALLER_PARAMETERS", "temperature, max_tokens,model"),
    ];
    let (app, model) = app_with([Reply::text(&["Oui."])], &settings).await?;
    ingest(&app).await?;
    let mut asked = question();
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("max_tokens", json!(300)),
        ("model", json!("other")),
    ] {
        asked[name] = value;
    }
    answered(&app, &asked).await?;
    let asked = &model.asked()[0];
    assert_eq!(
        asked.headers.get("api-key").map(String::as_str),
        Some("sk-test")
    );
    assert_eq!(
        asked.headers.get("x-team").map(String::as_str),
        Some("search")
    );
    assert_eq!(asked.authorization, None);
    assert_eq!(asked.body["max_completion_tokens"], 300);
    assert_eq!(
        (&asked.body["temperature"], &asked.body["model"]),
        (&json!(0.5), &json!("other"))
    );
    assert_eq!(asked.body.get("max_tokens"), None);
    Ok(())
}
