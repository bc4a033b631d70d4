//! Endpoints that are overloaded, reject a request, or cannot be reached.

use serde_json::{Value, json};
use tests::language_model::{LanguageModel, ModelRequest, Reply, Step};

use crate::{
    Outcome,
    chat::{app_with, ingest},
    chat_endpoints::{answer, question},
};

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
