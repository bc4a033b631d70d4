//! The content and the size of the prompt.

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::language_model::Reply;

use crate::{
    Outcome,
    chat::{answered, app_with, ingest, last_message},
};

#[tokio::test(flavor = "multi_thread")]
async fn selected_metadata_and_dates_are_sent_with_a_source() -> Outcome {
    let (app, model) = app_with([Reply::text(&["Ada [1]."])], &[]).await?;
    let metadata = json!({ "author": "Ada", "law": { "year": 2024 }, "internal": "no" });
    app.ingest(vec![
        json!({ "id": "plage", "title": "Plage", "content": "La plage ferme à 22 heures.", "metadata": metadata }),
    ])
    .await?;
    let asked = json!({ "question": "Quand ferme la plage ?", "source_fields": ["author", "law.year", "$updated_at"] });
    answered(&app, &asked).await?;
    let told = last_message(&model.asked()[0].body)?;
    let tag = told.lines().next().context("the source is first")?;
    assert!(
        tag.contains(r#" author="Ada" law.year="2024" updated_at="20"#),
        "{tag}"
    );
    assert!(!told.contains("internal"), "{told}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_fit_is_cut_and_those_after_it_stay() -> Outcome {
    let settings = [("CHAT_SOURCE_TOKENS", "300")];
    let (app, model) = app_with([Reply::text(&["Oui."])], &settings).await?;
    // One chunk is some hundred words: the first source is longer than all that is allowed.
    let long = |word: &str| format!("La plage de {word} est surveillée en été. ").repeat(12);
    app.ingest(vec![
        json!({ "id": "longue", "content": long("Briastel") }),
        json!({ "id": "autre", "content": long("Orvane") }),
        json!({ "id": "courte", "content": "La plage de Sarn ferme à 22 heures." }),
    ])
    .await?;
    let asked = json!({
        "question": "La plage de Briastel est-elle surveillée en été ?", "expand": 10, "min_relevance": 0,
    });
    let mut events = app.events("/chat", &asked).await?;
    let sources = events.expect("sources").await?;
    events.text().await?;
    let sources = sources["sources"].as_array().context("sources is a list")?;
    let numbers: Vec<&Value> = sources.iter().map(|source| &source["number"]).collect();
    let ids: Vec<&Value> = sources
        .iter()
        .map(|source| &source["document_id"])
        .collect();
    assert_eq!(numbers, (1..=sources.len()).collect::<Vec<_>>(), "{ids:?}");
    assert!(
        ids.contains(&&json!("courte")),
        "the short one has its place: {ids:?}"
    );
    assert!(
        sources.iter().any(|source| source["cut"] == true),
        "{sources:?}"
    );
    let told = last_message(&model.asked()[0].body)?;
    for source in sources {
        let content = source["content"].as_str().context("a source has content")?;
        assert!(
            told.contains(content),
            "the reader sees what the model reads"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn history_and_sources_fit_a_small_context() -> Outcome {
    let settings = [("LLM_CONTEXT_TOKENS", "2048"), ("CHAT_CONDENSE", "false")];
    let (app, model) = app_with([Reply::text(&["Oui."])], &settings).await?;
    let content = "La plage est surveillée en été, de huit heures à vingt-deux heures. ".repeat(60);
    let document = |n: usize| json!({ "id": format!("plage-{n}"), "content": content });
    app.ingest((0..6).map(document).collect()).await?;
    let asked = json!({ "expand": 3, "messages": [
        { "role": "user", "content": "Parle-moi de la plage." },
        { "role": "assistant", "content": "Elle est belle. ".repeat(1_000) },
        { "role": "user", "content": "Est-elle surveillée ?" },
    ] });
    let mut events = app.events("/chat", &asked).await?;
    let sources = events.expect("sources").await?;
    events.text().await?;
    assert!(
        !sources["sources"]
            .as_array()
            .context("sources is a list")?
            .is_empty()
    );
    let messages = model.asked()[0].body["messages"].clone();
    assert_eq!(messages[1]["content"], "Parle-moi de la plage.");
    assert!(
        messages[2]["content"]
            .as_str()
            .is_some_and(|said| said.contains(" […] ")),
        "{messages}"
    );
    // A token has some four characters.
    assert!(
        messages.to_string().len() < 2_048 * 4,
        "{} bytes",
        messages.to_string().len()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_exchange_is_kept_however_long_its_answer_was() -> Outcome {
    let replies = [
        Reply::text(&["« Quand ferme la plage ? »"]),
        Reply::text(&["À 22 heures."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let long = format!(
        "Voici : {}voilà.",
        "le lundi de 8 à 10 heures, ".repeat(2_000)
    );
    let asked = json!({ "messages": [
        { "role": "user", "content": "Quels sont les horaires à Briastel ?" },
        { "role": "assistant", "content": long },
        { "role": "user", "content": " " },
        { "role": "user", "content": "Et la plage ?" },
    ] });
    let mut events = app.events("/chat", &asked).await?;
    let sources = events.expect("sources").await?;
    assert_eq!(
        sources["query"], "Quand ferme la plage ?",
        "without its quotation marks"
    );
    events.text().await?;
    let asked = model.asked();
    for request in &asked {
        let told = request.body["messages"].to_string();
        assert!(
            told.contains("horaires à Briastel")
                && told.contains("Voici")
                && told.contains("voilà."),
            "{told}"
        );
        assert!(told.len() < 20_000, "{} bytes", told.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_an_earlier_answer_is_found_by_its_number() -> Outcome {
    let (app, model) = app_with(
        [Reply::text(&["Neuf ans [1]."])],
        &[("CHAT_CONDENSE", "false")],
    )
    .await?;
    ingest(&app).await?;
    let asked = json!({ "limit": 1, "messages": [
        { "role": "user", "content": "Que sais-tu ?" },
        { "role": "assistant", "content": "Des choses [1] et d’autres [2].", "id": "m2", "sources": [
            { "number": 1, "title": "Pain", "document_id": "pain" },
            { "number": 2, "title": "Bail", "document_id": "bail" } ] },
        { "role": "user", "content": "Explique [2]." },
    ] });
    let mut events = app.events("/chat", &asked).await?;
    let sources = events.expect("sources").await?;
    assert_eq!(sources["query"], "Explique “Bail”.");
    assert_eq!(sources["sources"][0]["document_id"], "bail");
    events.text().await?;
    let messages = &model.asked()[0].body["messages"];
    assert_eq!(
        messages[2]["content"],
        "Des choses (source: “Pain”) et d’autres (source: “Bail”)."
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn caller_instructions_are_sent_beside_the_rules_if_allowed() -> Outcome {
    let asked = json!({ "messages": [
        { "role": "system", "content": "Tutoie-moi." },
        { "role": "user", "content": [{ "type": "text", "text": "La plage ?" }], "id": "m1" },
    ] });
    let settings = [("CHAT_INSTRUCTIONS", "Réponds en breton.")];
    let (app, model) = app_with([Reply::text(&["Ya."])], &settings).await?;
    ingest(&app).await?;
    answered(&app, &asked).await?;
    let messages = model.asked()[0].body["messages"].clone();
    let rules = messages[0]["content"]
        .as_str()
        .context("the rules are text")?;
    assert!(
        rules.ends_with("Instructions of this service:\nRéponds en breton."),
        "{rules}"
    );
    assert!(rules.contains("Today is "), "{rules}");
    let last = last_message(&model.asked()[0].body)?;
    assert!(
        last.contains("\nTutoie-moi.\n</wishes-"),
        "a caller's wish changes no rule: {last}"
    );

    let settings = [("CHAT_CALLER_INSTRUCTIONS", "true")];
    let (app, model) = app_with([Reply::text(&["Ya."])], &settings).await?;
    ingest(&app).await?;
    let mut asked = asked;
    asked["instructions"] = json!("Sois bref.");
    answered(&app, &asked).await?;
    let rules = model.asked()[0].body["messages"][0]["content"].to_string();
    assert!(
        rules.contains("Sois bref.") && rules.contains("Tutoie-moi."),
        "{rules}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn brackets_in_an_answer_stay_and_its_citations_are_listed() -> Outcome {
    let text = "R v Smith [2004], x ∈ [0, 1], a[0], [sic] : 22 h [1] [Source 2] 【1】 [9].";
    let (app, _model) = app_with([Reply::text(&[text])], &[]).await?;
    ingest(&app).await?;
    let asked = json!({ "question": "Quand ferme la plage ?", "limit": 2, "min_relevance": 0 });
    let mut events = app.events("/chat", &asked).await?;
    events.expect("sources").await?;
    let (said, _, done) = events.text().await?;
    assert_eq!(said, text);
    assert_eq!(
        (&done["cited"], &done["citations_invalid"]),
        (&json!([1, 2]), &json!(1))
    );
    let characters: Vec<char> = text.chars().collect();
    let covered = |citation: &Value| -> String {
        let at = |field: &str| {
            citation[field]
                .as_u64()
                .and_then(|at| usize::try_from(at).ok())
                .unwrap_or_default()
        };
        characters[at("start")..at("end")].iter().collect()
    };
    let citations = done["citations"]
        .as_array()
        .context("citations is a list")?;
    let covered: Vec<String> = citations.iter().map(covered).collect();
    assert_eq!(covered, ["[1]", "[Source 2]", "【1】", "[9]"]);
    assert_eq!(citations[3]["source"], Value::Null);
    Ok(())
}
