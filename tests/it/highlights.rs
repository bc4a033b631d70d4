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
