//! Answers that are not streamed.

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::{
    eventually,
    language_model::{Reply, Step},
    peak_memory,
};

use crate::{
    Outcome,
    chat::{answered, app_with, ingest},
};

fn question() -> Value {
    json!({ "question": "Quand ferme la plage ?", "limit": 1, "stream": false })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_can_come_in_one_piece() -> Outcome {
    let (app, _model) = app_with([Reply::text(&["À 22 heures [1][7]."])], &[]).await?;
    ingest(&app).await?;
    let request = json!({ "question": "Quand ferme la plage ?", "limit": 1, "stream": false });
    let body = app.post("/chat", request).await?.success(200)?;
    insta::assert_json_snapshot!(body, {
        ".sources[].distance" => "[distance]",
        ".sources[].keyword_score" => "[score]",
        ".sources[].coverage" => "[coverage]",
        ".sources[].relevance" => "[relevance]",
        ".sources[].score" => "[score]",
        ".took_ms.retrieval" => "[ms]",
        ".took_ms.first_token" => "[ms]",
        ".took_ms.total" => "[ms]",
    }, @r#"
    {
      "answer": "À 22 heures [1][7].",
      "citations": [
        {
          "end": 15,
          "source": 1,
          "start": 12
        },
        {
          "end": 18,
          "source": null,
          "start": 15
        }
      ],
      "citations_invalid": 1,
      "cited": [
        1
      ],
      "finish_reason": "stop",
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
        }
      ],
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
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_disconnects_stops_an_unstreamed_answer() -> Outcome {
    let replies = [
        Reply::Stream(vec![Step::Text("Attendez"), Step::Hang]),
        Reply::text(&["À 22 heures [1]."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let asking = reqwest::Client::new()
        .post(format!("{}/chat", app.url()))
        .json(&question())
        .send();
    let begun = eventually("a request to the model", async || Ok(model.asked().pop()));
    // Whichever is first drops the other: the caller leaves when the model has been asked.
    tokio::select! {
        answered = asking => anyhow::bail!("an answer without an end: {answered:?}"),
        begun = begun => drop(begun?),
    }
    model.reader_left().await?;
    eventually("the gateway's line", async || {
        Ok(app
            .logged()?
            .contains("its client disconnected")
            .then_some(()))
    })
    .await?;

    let answer = app.post("/chat", question()).await?;
    assert_eq!(answer.success(200)?["answer"], "À 22 heures [1].");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_is_cut_and_fills_no_memory() -> Outcome {
    let replies = [Reply::text(&["Oui."]), Reply::Stream(vec![Step::Flood])];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    // The model is loaded and the heap as large as an answer needs.
    app.post("/chat", question()).await?;
    let sandbox = *app.sandboxes("chat").first().context("it answered")?;
    let before = peak_memory(sandbox)?;
    let answer = app.post("/chat", question()).await?;
    let grown = peak_memory(sandbox)?.saturating_sub(before);
    let body = answer.success(200)?;
    assert_eq!(body["finish_reason"], "length");
    let length = body["answer"].as_str().map_or(0, str::len);
    assert!(length > 1 << 20, "{length} bytes");
    assert!(grown < 32 << 20, "{grown} bytes more for {length}");
    model.reader_left().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_refuses_to_stream_is_asked_for_whole_answers() -> Outcome {
    let refusal = json!({ "error": {
        "message": "Your organization must be verified to stream this model.",
        "type": "invalid_request_error", "param": "stream", "code": "unsupported_value" } });
    let whole = |said: &str| {
        let choice = json!({ "message": { "content": said }, "finish_reason": "stop" });
        let answer = json!({ "choices": [choice] }).to_string();
        Reply::Raw("content-type: application/json", answer.into_bytes())
    };
    let told = ["À 22 heures [1].", "En été [1]."];
    let replies = [
        Reply::Status(400, None, refusal),
        whole(told[0]),
        whole(told[1]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    for said in told {
        let mut asked = question();
        asked["stream"] = json!(true);
        let (text, end, _) = answered(&app, &asked).await?;
        assert_eq!((text.as_str(), end.as_str()), (said, "done"));
    }
    let asked = model.asked();
    let streams: Vec<Value> = asked
        .iter()
        .map(|asked| asked.body["stream"].clone())
        .collect();
    assert_eq!(streams, [true, false, false]);
    // `stream_options` is an error unless `stream` is true.
    assert!(asked[1].body.get("stream_options").is_none());
    Ok(())
}
