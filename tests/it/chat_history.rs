//! Follow-up questions: earlier messages are taken into account as far as the token budget allows.

use anyhow::Context;
use serde_json::json;
use tests::language_model::{Reply, Step};

use crate::{
    Outcome,
    chat::{app_with, ingest, last_message},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_is_rewritten_as_a_standalone_question() -> Outcome {
    let replies = [
        Reply::text(&["Quelle est la durée du bail commercial ?"]),
        Reply::text(&["Neuf ans [1]."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let conversation = json!({ "limit": 1, "messages": [
        { "role": "user", "content": "Parle-moi du bail." },
        { "role": "assistant", "content": "Il est commercial [1]." },
        { "role": "user", "content": "Et il dure combien de temps ?" },
    ] });
    let mut events = app.events("/chat", &conversation).await?;
    let sources = events.expect("sources").await?;
    assert_eq!(sources["query"], "Quelle est la durée du bail commercial ?");
    assert_eq!(sources["sources"][0]["document_id"], "bail");
    let (_, _, done) = events.text().await?;
    assert_eq!(
        done["usage"]["prompt_tokens"], 14,
        "both exchanges are counted: {done}"
    );

    let asked = model.asked();
    let condensing = last_message(&asked[0].body)?;
    let lines: Vec<&str> = condensing.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines[3].starts_with("<assistant-"), "{condensing}");
    assert_eq!(lines[4], "Il est commercial.");
    assert_eq!(lines[lines.len() - 2], "Et il dure combien de temps ?");
    assert_eq!(asked[0].body["max_tokens"], 1_000, "a question is short");
    let answering = &asked[1].body["messages"];
    assert_eq!(answering[1]["content"], "Parle-moi du bail.");
    assert_eq!(
        answering[2]["content"], "Il est commercial.",
        "a number of then would be another source now"
    );
    let last = last_message(&asked[1].body)?;
    assert_eq!(
        last.lines().rev().nth(1),
        Some("Et il dure combien de temps ?")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_is_searched_for_unchanged_if_rewriting_is_off_or_fails() -> Outcome {
    let conversation = json!({ "limit": 1, "messages": [
        { "role": "user", "content": "Parle-moi du bail." },
        { "role": "assistant", "content": "Il est commercial [1]." },
        { "role": "user", "content": "Et la plage ?" },
    ] });
    let (app, model) = app_with([Reply::text(&["Oui."])], &[("CHAT_CONDENSE", "false")]).await?;
    ingest(&app).await?;
    let mut events = app.events("/chat", &conversation).await?;
    assert_eq!(
        events.expect("sources").await?["sources"][0]["document_id"],
        "plage"
    );
    assert_eq!(events.text().await?.1, "done");
    assert_eq!(model.asked().len(), 1);

    let broken = Reply::Stream(vec![Step::Text("Quel b"), Step::Cut]);
    let (app, model) = app_with([broken, Reply::text(&["Oui."])], &[]).await?;
    ingest(&app).await?;
    let mut events = app.events("/chat", &conversation).await?;
    assert_eq!(
        events.expect("sources").await?["sources"][0]["document_id"],
        "plage"
    );
    assert_eq!(events.text().await?.1, "done");
    assert_eq!(model.asked().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_messages_and_the_farthest_sources_are_dropped_to_fit_the_budget() -> Outcome {
    let settings = [
        ("CHAT_HISTORY_TOKENS", "60"),
        ("CHAT_SOURCE_TOKENS", "5"),
        ("CHAT_CONDENSE", "false"),
    ];
    let (app, model) = app_with([Reply::text(&["Oui."])], &settings).await?;
    ingest(&app).await?;
    // Longer than the embedding model reads, to count what is beyond that too.
    let long = "Il était une fois un phare. ".repeat(200);
    let mut events = app
        .events(
            "/chat",
            &json!({ "messages": [
            { "role": "user", "content": long },
            { "role": "assistant", "content": "Le phare est beau." },
            { "role": "user", "content": "Merci." },
            { "role": "assistant", "content": "De rien." },
            { "role": "user", "content": "Quand ferme la plage ?" },
        ] }),
        )
        .await?;
    let sources = events.expect("sources").await?;
    let sources = sources["sources"].as_array().context("sources is a list")?;
    assert_eq!(
        sources.len(),
        1,
        "the nearest is there in any case: {sources:?}"
    );
    events.text().await?;
    let asked = model.asked();
    let messages = asked[0].body["messages"]
        .as_array()
        .context("messages is a list")?;
    let said: Vec<_> = messages[1..]
        .iter()
        .map(|message| message["content"].as_str().unwrap_or_default())
        .collect();
    // The phare's answer fits, but its question does not.
    assert_eq!(said[..2], ["Merci.", "De rien."]);
    assert_eq!(said.len(), 3);
    Ok(())
}
