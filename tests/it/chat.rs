//! A conversation with the documents.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tests::{
    App,
    language_model::{LanguageModel, Reply, Step},
};
use tokio::time::{sleep, timeout};

use crate::Outcome;

/// The product beside a language model that gives these replies, with settings of the test's own.
pub(crate) async fn app_with(
    replies: impl IntoIterator<Item = Reply>,
    settings: &[(&str, &str)],
) -> Result<(App, LanguageModel)> {
    let (app, model) = unmigrated_app_with(replies, settings).await?;
    app.invoke("migrate", json!({})).await?;
    Ok((app, model))
}

/// The same before the database has a schema.
pub(crate) async fn unmigrated_app_with(
    replies: impl IntoIterator<Item = Reply>,
    settings: &[(&str, &str)],
) -> Result<(App, LanguageModel)> {
    App::through(async |_| {
        let model = LanguageModel::replying(replies).await?;
        let mut environment = model.environment();
        let own = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        environment.extend(own);
        Ok((model, environment))
    })
    .await
}

/// Three documents, of which one is about beaches.
pub(crate) async fn ingest(app: &App) -> Outcome {
    let document = |id: &str, title: &str, content: &str| json!({ "id": id, "title": title, "content": content });
    app.ingest(vec![
        document("plage", "Plage", "La plage ferme à 22 heures en été."),
        document(
            "bail",
            "Bail",
            "Le bail commercial est conclu pour neuf ans.",
        ),
        document("pain", "Pain", "Le pain de seigle cuit une heure."),
    ])
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_begins_with_its_sources_and_ends_with_what_it_cost() -> Outcome {
    let reply = Reply::text(&["La plage ferme", " à 22 heures [", "1]", "."]);
    let (app, model) = app_with([reply], &[]).await?;
    ingest(&app).await?;
    let mut events = app
        .events(
            "/chat",
            &json!({ "question": "Quand ferme la plage ?", "limit": 2, "min_relevance": 0 }),
        )
        .await?;

    let sources = events.expect("sources").await?;
    insta::assert_json_snapshot!(sources, {
        ".sources[].distance" => "[distance]",
        ".sources[].keyword_score" => "[score]",
        ".sources[].coverage" => "[coverage]",
        ".sources[].relevance" => "[relevance]",
        ".sources[].score" => "[score]",
    }, @r#"
    {
      "query": "Quand ferme la plage ?",
      "sources": [
        {
          "chunk": 0,
          "content": "La plage ferme à 22 heures en été.",
          "coverage": "[coverage]",
          "distance": "[distance]",
          "document_id": "plage",
          "keyword_score": "[score]",
          "metadata": {},
          "number": 1,
          "relevance": "[relevance]",
          "score": "[score]",
          "title": "Plage"
        },
        {
          "chunk": 0,
          "content": "Le pain de seigle cuit une heure.",
          "coverage": "[coverage]",
          "distance": "[distance]",
          "document_id": "pain",
          "keyword_score": "[score]",
          "metadata": {},
          "number": 2,
          "relevance": "[relevance]",
          "score": "[score]",
          "title": "Pain"
        }
      ]
    }
    "#);
    let (text, name, done) = events.text().await?;
    assert_eq!(
        (text.as_str(), name.as_str()),
        ("La plage ferme à 22 heures [1].", "done")
    );
    insta::assert_json_snapshot!(done, {
        ".took_ms.retrieval" => "[ms]",
        ".took_ms.first_token" => "[ms]",
        ".took_ms.total" => "[ms]",
    }, @r#"
    {
      "citations": [
        {
          "end": 30,
          "source": 1,
          "start": 27
        }
      ],
      "citations_invalid": 0,
      "cited": [
        1
      ],
      "finish_reason": "stop",
      "took_ms": {
        "first_token": "[ms]",
        "retrieval": "[ms]",
        "total": "[ms]"
      },
      "usage": {
        "completion_tokens": 5,
        "prompt_tokens": 7
      }
    }
    "#);

    let asked = model.asked();
    let [request] = &asked[..] else {
        anyhow::bail!("the model was asked once: {asked:?}");
    };
    assert_eq!(request.path, "/v1/chat/completions");
    assert_eq!(request.authorization.as_deref(), Some("Bearer sk-test"));
    assert_eq!(request.body["model"], "test-model");
    assert_eq!(request.body["stream"], true);
    begins_with_its_sources(&last_message(&request.body)?);
    Ok(())
}

fn begins_with_its_sources(prompt: &str) {
    let lines: Vec<&str> = prompt.lines().collect();
    assert!(
        lines[0].starts_with("<source-") && lines[0].ends_with(r#" number="1" title="Plage">"#),
        "{prompt}"
    );
    assert_eq!(lines[1], "La plage ferme à 22 heures en été.");
    assert!(lines[2].starts_with("</source-"), "{prompt}");
    assert_eq!(lines[lines.len() - 2], "Quand ferme la plage ?");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_while_the_model_writes() -> Outcome {
    let steps = vec![
        Step::Wait,
        Step::Text("Oui"),
        Step::Wait,
        Step::Text(", monsieur."),
        Step::Finish("stop"),
    ];
    let (app, model) = app_with([Reply::Stream(steps)], &[]).await?;
    ingest(&app).await?;
    let mut events = app
        .events("/chat", &json!({ "question": "La plage ferme-t-elle ?" }))
        .await?;
    events.expect("sources").await?;
    model.go_on();
    assert_eq!(events.expect("delta").await?["text"], "Oui");
    model.go_on();
    assert_eq!(events.text().await?.0, ", monsieur.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_silence_is_broken_by_comments() -> Outcome {
    let steps = vec![Step::Wait, Step::Text("Enfin."), Step::Finish("stop")];
    let (app, model) = app_with([Reply::Stream(steps)], &[("CHAT_HEARTBEAT_MS", "50")]).await?;
    ingest(&app).await?;
    let mut response = app
        .open("/chat", &json!({ "question": "La plage ?" }))
        .await?;
    let mut read = String::new();
    while let Some(bytes) = response.chunk().await? {
        read += std::str::from_utf8(&bytes)?;
        if read.matches(": still working\n\n").count() == 3 {
            model.go_on();
        }
    }
    assert!(read.contains("Enfin."), "{read}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn configured_parameters_reach_the_model() -> Outcome {
    let parameters = r#"{"temperature": 0.2, "stream_options": null}"#;
    let (app, model) =
        app_with([Reply::text(&["Oui."])], &[("LLM_PARAMETERS", parameters)]).await?;
    ingest(&app).await?;
    let mut events = app
        .events("/chat", &json!({ "question": "La plage ?" }))
        .await?;
    events.expect("sources").await?;
    events.text().await?;
    let body = &model.asked()[0].body;
    assert_eq!(body["temperature"], 0.2);
    assert!(body.get("stream_options").is_none(), "{body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_function_url_and_of_a_rest_api_are_understood() -> Outcome {
    let replies = [0; 2].map(|_| Reply::text(&["Oui [1]."]));
    let (app, _model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for event in [
        include_str!("../events/chat-post.json"),
        include_str!("../events/chat-rest.json"),
    ] {
        let answer = app.invoke("chat", serde_json::from_str(event)?).await?;
        let answer = answer.as_str().context("the answer is a stream of text")?;
        assert!(
            answer.starts_with("event: sources\ndata: {\"query\":\""),
            "{answer}"
        );
        assert!(answer.contains("event: done\n"), "{answer}");
    }
    // The line is written when the answer has left.
    let named = async {
        while !app.logged()?.contains(r#""route":"POST /chat""#) {
            sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, anyhow::Error>(())
    };
    let named = timeout(Duration::from_mins(1), named).await;
    named.context("the log does not name the route")??;
    Ok(())
}

/// An answer's text and its last event, after its sources.
pub(crate) async fn answered(app: &App, request: &Value) -> Result<(String, String, Value)> {
    let mut events = app.events("/chat", request).await?;
    events.expect("sources").await?;
    events.text().await
}

/// The content of the last message that a request to the model carries.
pub(crate) fn last_message(body: &Value) -> Result<String> {
    let message = body["messages"]
        .as_array()
        .and_then(|messages| messages.last());
    let content = message.and_then(|message| message["content"].as_str());
    Ok(content.context("a request has messages")?.to_owned())
}
