//! Where hits have the question's words.

use serde_json::{Value, json};
use tests::{
    App,
    command::{Printed, rappel},
};

use crate::Outcome;

/// The parts of a hit's field that are highlighted.
fn marked(hit: &Value, field: &str) -> Vec<String> {
    let text: Vec<char> = hit[field].as_str().unwrap_or_default().chars().collect();
    let ranges = hit["highlights"][field].as_array().into_iter().flatten();
    ranges
        .map(|range| {
            let at = |end: &str| {
                let place = range[end].as_u64().map(usize::try_from);
                place.and_then(Result::ok).unwrap_or(usize::MAX)
            };
            text[at("start")..at("end")].iter().collect()
        })
        .collect()
}

fn clauses() -> Vec<Value> {
    vec![
        json!({
            "id": "paie",
            "title": "👩‍💼 Bulletin de paie",
            "content": "L’employeur remet au salarié, chaque mois, un bulletin de paie. Les bulletins sont conservés.",
            "metadata": { "language": "fr" },
        }),
        json!({
            "id": "tokyo",
            "title": "東京",
            "content": "東京都の電話は 03-1234-5678 です。",
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_say_where_they_have_the_words_of_the_question() -> Outcome {
    let app = App::start().await?;
    app.ingest(clauses()).await?;
    for mode in ["keyword", "hybrid", "semantic"] {
        let question = "Quand l'employeur remet-il les BULLETINS de paye et de paie ?";
        let request = json!({ "query": question, "mode": mode, "limit": 1, "highlight": true });
        let hits = app.hits(request).await?;
        assert_eq!(hits[0]["document_id"], "paie", "{mode}");
        assert_eq!(marked(&hits[0], "title"), ["Bulletin", "paie"]);
        let expected = ["employeur", "remet", "bulletin", "paie", "bulletins"];
        assert_eq!(marked(&hits[0], "content"), expected, "{mode}");
    }
    let request = json!({ "query": "東京 0312345678", "highlight": true, "mode": "keyword" });
    let hits = app.hits(request).await?;
    assert_eq!(marked(&hits[0], "title"), ["東京"]);
    assert_eq!(marked(&hits[0], "content"), ["東京", "03-1234-5678"]);

    let hits = app.hits(json!({ "query": "paie" })).await?;
    assert_eq!(hits[0].get("highlights"), None);
    let request = json!({ "query": "paie", "highlight": true, "fields": ["title"] });
    let hits = app.hits(request).await?;
    assert_eq!(hits[0]["highlights"]["content"], json!([]));
    assert_eq!(marked(&hits[0], "title"), ["paie"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_last_word_was_the_beginning_of_is_marked() -> Outcome {
    let app = App::start().await?;
    let text = |id: &str, content: &str| json!({ "id": id, "title": "Contrat de travail", "content": content, "metadata": { "language": "fr" } });
    app.ingest(vec![
        text(
            "fin",
            "Le contrat de travail prend fin par le licenciement.",
        ),
        // Words that begin as the beginning does, but that it does not go on to.
        text("conte", "Un conte se lit à la lice, à l'ombre d'une trace."),
    ])
    .await?;
    for (query, title, content) in [
        (
            "contrat de trav",
            &["Contrat", "travail"][..],
            &["contrat", "travail"][..],
        ),
        ("trav", &["travail"], &["travail"]),
        // Longer than the stem.
        ("licencieme", &[], &["licenciement"]),
        // Whole.
        ("trav ", &[], &[]),
    ] {
        for mode in ["keyword", "hybrid"] {
            let request = json!({ "query": query, "mode": mode, "prefix": true, "highlight": true, "count": "none" });
            let hits = app.hits(request).await?;
            let fin = hits.iter().find(|hit| hit["document_id"] == "fin");
            let found = fin.map(|hit| (marked(hit, "title"), marked(hit, "content")));
            let (in_title, in_content) = found.unwrap_or_default();
            assert_eq!(in_title, title, "{mode}, {query}");
            assert_eq!(in_content, content, "{mode}, {query}");
            let conte = hits.iter().find(|hit| hit["document_id"] == "conte");
            let none: [&str; 0] = [];
            let found = conte.map(|hit| marked(hit, "content")).unwrap_or_default();
            assert_eq!(found, none, "{mode}, {query}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_marked_in_the_language_of_the_document_whatever_a_hit_has_of_it() -> Outcome {
    let app = App::start().await?;
    let metadata = json!({ "language": "en", "kind": "spice" });
    // A subjunctive in Spanish, which so short a text may be.
    app.ingest(vec![
        json!({ "id": "salt", "content": "Sea salt", "metadata": metadata }),
    ])
    .await?;
    for (mut request, kept) in [
        (json!({}), metadata.clone()),
        (json!({ "fields": ["content"] }), Value::Null),
        (
            json!({ "metadata_fields": ["kind"] }),
            json!({ "kind": "spice" }),
        ),
    ] {
        request["query"] = json!("what is the price of sea salt");
        request["highlight"] = json!(true);
        let hits = app.hits(request.clone()).await?;
        assert_eq!(marked(&hits[0], "content"), ["Sea", "salt"], "{request}");
        assert_eq!(hits[0]["metadata"], kept, "{request}");
        assert_eq!(hits[0].get("language"), None, "{request}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_and_the_command_line_ask_for_them_too() -> Outcome {
    let app = App::start().await?;
    app.ingest(clauses()).await?;
    let found = app
        .get("/search", &[("q", "bulletins"), ("highlight", "true")])
        .await?
        .success(200)?;
    assert_eq!(marked(&found["hits"][0], "title"), ["Bulletin"]);
    let refused = app
        .get("/search", &[("q", "bulletins"), ("highlight", "maybe")])
        .await?
        .refused()?;
    assert_eq!(refused, ["highlight"]);

    // Not on a terminal: the text is as it is.
    let url = app.url();
    let mut command = rappel(None, &["search", "bulletins", "--api", &url]).await?;
    let printed = Printed::by(&mut command).await?;
    assert!(
        printed.stdout.contains("un bulletin de paie."),
        "{}",
        printed.stdout
    );
    assert!(!printed.stdout.contains('\u{1b}'), "{}", printed.stdout);
    Ok(())
}
