//! Endpoints with `OpenAI`-compatible APIs, each with its own deviations.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tests::{
    App,
    language_model::{LanguageModel, ModelRequest, Reply, Step},
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
async fn an_endpoint_that_reports_overload_as_the_first_event_is_asked_again() -> Outcome {
    let busy = || {
        Reply::Stream(vec![Step::Data(
            r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        )])
    };
    let refused = Reply::Stream(vec![Step::Data(
        r#"{"error":{"code":"insufficient_quota","message":"No credit"}}"#,
    )]);
    // A whole document is complete only at its end.
    let document = Reply::Raw(
        "content-type: application/json",
        br#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#.to_vec(),
    );
    let (app, model) = app_with(
        [
            busy(),
            document,
            Reply::text(&["À 22 heures [1]."]),
            refused,
        ],
        &[],
    )
    .await?;
    ingest(&app).await?;
    let (text, end, _) = answer(&app).await?;
    assert_eq!((text.as_str(), end.as_str()), ("À 22 heures [1].", "done"));
    assert_eq!(model.asked().len(), 3);
    // What a retry cannot mend is not retried.
    let (_, _, problem) = answer(&app).await?;
    assert_eq!(problem["type"], "urn:rappel:problem:language-model-quota");
    assert_eq!(model.asked().len(), 4);
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
async fn a_rejected_request_names_the_setting_to_change() -> Outcome {
    let error = |status, code: &str| {
        let error = json!({ "error": { "message": "No plage for sk-4711.", "code": code } });
        Reply::Status(status, None, error)
    };
    let cases = [
        (
            error(401, "invalid_api_key"),
            502,
            "language-model-key",
            "LLM_API_KEY",
            None,
        ),
        (
            error(403, "forbidden"),
            502,
            "language-model-key",
            "LLM_API_KEY",
            None,
        ),
        (
            error(402, "payment_required"),
            502,
            "language-model-quota",
            "billing",
            None,
        ),
        (
            error(429, "insufficient_quota"),
            502,
            "language-model-quota",
            "billing",
            None,
        ),
        (
            error(404, "model_not_found"),
            502,
            "language-model-model",
            "LLM_MODEL",
            None,
        ),
        (
            Reply::Status(
                400,
                None,
                json!({ "error": { "message": "plage/x is not a valid model ID", "code": 400 } }),
            ),
            502,
            "language-model-model",
            "LLM_MODEL",
            None,
        ),
        (
            Reply::Status(404, None, json!({})),
            502,
            "language-model-address",
            "LLM_BASE_URL",
            None,
        ),
        (
            error(400, "unsupported_parameter"),
            502,
            "language-model-parameter",
            "LLM_PARAMETERS",
            None,
        ),
        (
            Reply::Status(429, Some(3_600), json!({})),
            503,
            "language-model-busy",
            "",
            Some("3600"),
        ),
    ];
    let replies = cases.iter().map(|(reply, ..)| reply.clone());
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let mut whole = question();
    whole["stream"] = json!(false);
    for (reply, status, word, setting, retry_after) in &cases {
        let answer = app.post("/chat", whole.clone()).await?;
        answer.problem(*status, word)?;
        assert!(answer.text.contains(setting), "{reply:?}: {}", answer.text);
        assert!(
            !answer.text.contains("plage") && !answer.text.contains("sk-4711"),
            "{}",
            answer.text
        );
        assert_eq!(answer.header("retry-after"), *retry_after, "{reply:?}");
        let document: Value = serde_json::from_str(&answer.text)?;
        let seconds = retry_after.map_or(Value::Null, |seconds| {
            json!(seconds.parse::<u32>().unwrap_or_default())
        });
        assert_eq!(document["retry_after"], seconds, "{reply:?}");
    }
    assert_eq!(
        model.asked().len(),
        cases.len(),
        "none of them is helped by another attempt"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_endpoint_is_reported_with_its_cause() -> Outcome {
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await?
        .local_addr()?
        .port();
    for (base_url, detail) in [
        (format!("http://127.0.0.1:{port}/v1"), "refuses connections"),
        (
            "http://no-such-host.invalid/v1".to_owned(),
            "cannot be resolved",
        ),
    ] {
        let (app, _model) = app_with([], &[("LLM_BASE_URL", &base_url)]).await?;
        ingest(&app).await?;
        let mut whole = question();
        whole["stream"] = json!(false);
        let answer = app.post("/chat", whole).await?;
        answer.problem(503, "language-model-unreachable")?;
        assert!(answer.text.contains(detail), "{}", answer.text);
    }
    // One that does not speak TLS, and one that hangs up.
    let model = LanguageModel::replying([]).await?;
    let base_url = model.url().replace("http://", "https://");
    let hung_up = std::iter::repeat_n(Reply::HangUp, 4);
    let (app, hanging) = app_with(hung_up, &[]).await?;
    ingest(&app).await?;
    assert_eq!(
        answer(&app).await?.2["type"],
        "urn:rappel:problem:language-model-unreachable"
    );
    assert_eq!(hanging.asked().len(), 4, "a connection may fail by chance");
    let (app, _model) = app_with([], &[("LLM_BASE_URL", &base_url)]).await?;
    ingest(&app).await?;
    let problem = answer(&app).await?.2;
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("TLS")),
        "{problem}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn unsupported_parameters_are_detected_once() -> Outcome {
    let refusal =
        |message: &str| Reply::Status(400, None, json!({ "error": { "message": message } }));
    let replies = [
        refusal("System role not supported"),
        refusal("stream_options: Extra inputs are not permitted"),
        Reply::text(&["Oui."]),
        Reply::text(&["Non."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    assert_eq!(answer(&app).await?.0, "Oui.");
    assert_eq!(answer(&app).await?.0, "Non.");
    let asked = model.asked();
    assert_eq!(
        asked.len(),
        4,
        "the next answer begins with what was found out"
    );
    let roles = |at: usize| -> Vec<Value> {
        let messages = asked[at].body["messages"].as_array().into_iter().flatten();
        messages.map(|message| message["role"].clone()).collect()
    };
    assert_eq!(roles(0), ["system", "user"]);
    for at in [2, 3] {
        assert_eq!(roles(at), ["user"], "the rules begin the user's turn");
        assert!(asked[at].body.get("stream_options").is_none());
        let content = asked[at].body["messages"][0]["content"].to_string();
        assert!(
            content.contains("You answer questions from sources"),
            "{content}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_is_too_long_is_retried_with_fewer_sources() -> Outcome {
    let too_long = || {
        Reply::Status(
            400,
            None,
            json!({ "error": { "code": "context_length_exceeded" } }),
        )
    };
    let form = json!({ "error": { "message": "stream_options: Extra inputs are not permitted" } });
    let replies = [
        Reply::Status(400, None, form),
        too_long(),
        Reply::text(&["Oui [1]."]),
        too_long(),
        too_long(),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let asks = json!({ "question": "Quand ferme la plage ?", "limit": 3, "min_relevance": 0 });
    for end in ["done", "failure"] {
        let mut events = app.events("/chat", &asks).await?;
        events.expect("sources").await?;
        let (_, name, data) = events.text().await?;
        assert_eq!(name, end, "{data}");
        if end == "failure" {
            assert_eq!(data["type"], "urn:rappel:problem:language-model-context");
        }
    }
    let asked = model.asked();
    assert_eq!(asked.len(), 5);
    let sources = |at: usize| asked[at].body.to_string().matches("</source-").count();
    assert_eq!((sources(1), sources(2)), (3, 1));
    let is_plain = |asked: &ModelRequest| asked.body.get("stream_options").is_none();
    assert!(
        asked[1..].iter().all(is_plain),
        "the refused form is not tried again"
    );
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
