//! Searches whose hits are reranked by a cross-encoder.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    App,
    command::{Printed, rappel},
    samples, tiny_reranker,
};

use crate::Outcome;

/// A question that is near to pancakes, with one word that only the lease has.
const QUESTION: &str = "la recette des crêpes, un bail";

/// The product with a reranker that knows `words`, and the reranker's folder.
async fn app_with_reranker(words: &[&str]) -> anyhow::Result<(App, TempDir)> {
    let (app, folder) = App::through(async |_| {
        let folder = tempfile::tempdir()?;
        tiny_reranker::write(folder.path(), words)?;
        let path = folder.path().display().to_string();
        Ok((folder, vec![("RERANKER_DIR".to_owned(), path)]))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    Ok((app, folder))
}

fn documents() -> Vec<Value> {
    let document = |id: &str, content: &str| json!({ "id": id, "content": content });
    vec![
        document(
            "crêpes",
            "Les crêpes : farine, lait, œufs, et une heure de repos.",
        ),
        document("bail", "Le bail commercial est conclu pour neuf ans."),
        document("phare", "Le phare d’Ouessant éclaire la mer d’Iroise."),
    ]
}

fn ids(hits: &Value) -> Vec<&str> {
    let hits = hits.as_array().map(Vec::as_slice).unwrap_or_default();
    hits.iter()
        .filter_map(|hit| hit["document_id"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reranker_has_the_last_word_on_the_order() -> Outcome {
    let (app, folder) = app_with_reranker(&["bail"]).await?;
    app.ingest(documents()).await?;

    let request = json!({ "query": QUESTION, "mode": "semantic" });
    let plain = app.post("/search", request).await?.success(200)?;
    assert_eq!(ids(&plain["hits"])[0], "crêpes");
    assert!(plain["hits"][0].get("rerank_score").is_none());
    assert!(plain["took_ms"].get("rerank").is_none());

    let request = json!({ "query": QUESTION, "mode": "semantic", "rerank": true });
    let reranked = app.post("/search", request).await?.success(200)?;
    let order = ids(&reranked["hits"]);
    assert_eq!(order[0], "bail");
    assert_eq!(
        order[1..],
        ids(&plain["hits"])
            .into_iter()
            .filter(|id| *id != "bail")
            .collect::<Vec<_>>(),
        "hits that the reranker likes alike keep their order"
    );
    assert_eq!(reranked["hits"][0]["rerank_score"], 1.0);
    assert_eq!(reranked["hits"][1]["rerank_score"], 0.0);
    for hit in reranked["hits"].as_array().into_iter().flatten() {
        let distance = hit["distance"].as_f64().unwrap_or(f64::NAN);
        let score = hit["score"].as_f64().unwrap_or(f64::NAN);
        assert!((1.0 - distance - score).abs() < 1e-6, "{hit}");
    }
    assert!(reranked["took_ms"]["rerank"].is_number());

    // The best of all candidates comes first, though it was not the best before.
    let query = [
        ("q", QUESTION),
        ("mode", "semantic"),
        ("limit", "1"),
        ("rerank", "true"),
    ];
    let got = app.get("/search", &query).await?.success(200)?;
    assert_eq!(ids(&got["hits"]), ["bail"]);

    let arguments = ["search", "--rerank", "--json", "-n", "1", QUESTION];
    let mut command = rappel(Some(app.database_url()), &arguments).await?;
    command.env("RERANKER_DIR", folder.path());
    let printed = Printed::by(&mut command).await?.json()?;
    assert_eq!(ids(&printed["hits"]), ["bail"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_candidate_gets_its_own_score_whatever_its_batch() -> Outcome {
    let (app, _folder) = app_with_reranker(&["eau"]).await?;
    app.ingest(samples()?).await?;
    let hits = app
        .hits(json!({ "query": "eau", "limit": 100, "rerank": true }))
        .await?;
    let mut scores = Vec::new();
    for hit in &hits {
        let [title, content] = ["title", "content"].map(|name| hit[name].as_str());
        let text = [title, content].map(Option::unwrap_or_default).join("\n");
        let text = text.to_lowercase();
        let words = text.split(|c: char| !c.is_alphanumeric());
        let expected = words.filter(|word| *word == "eau").count() as f64;
        let score = hit["rerank_score"].as_f64().unwrap_or(f64::NAN);
        assert!((score - expected).abs() < 1e-6, "{expected}: {hit}");
        scores.push(score);
    }
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    assert!(scores[0] > 0.0 && scores.contains(&0.0), "{scores:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_reranker_the_request_is_refused_and_says_what_is_missing() -> Outcome {
    let app = App::start().await?;
    let answer = app
        .post("/search", json!({ "query": "a", "rerank": true }))
        .await?;
    assert_eq!(answer.refused()?, ["rerank"]);
    assert!(answer.text.contains("RERANKER_DIR"), "{}", answer.text);
    let query = [("q", "a"), ("rerank", "true")];
    assert_eq!(app.get("/search", &query).await?.refused()?, ["rerank"]);
    app.post("/search", json!({ "query": "a", "rerank": false }))
        .await?
        .success(200)?;

    let arguments = ["search", "--rerank", "a"];
    let mut command = rappel(Some(app.database_url()), &arguments).await?;
    let printed = Printed::by(command.env_remove("RERANKER_DIR")).await?;
    assert!(!printed.success, "{printed:?}");
    assert!(printed.stderr.contains("RERANKER_DIR"), "{printed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_reranker_breaks_only_the_searches_that_want_it() -> Outcome {
    let (app, folder) = app_with_reranker(&["bail"]).await?;
    app.ingest(documents()).await?;
    let search = async |rerank: bool| {
        app.post("/search", json!({ "query": QUESTION, "rerank": rerank }))
            .await
    };
    let mut bodies = Vec::new();
    for name in ["manifest.json", "tokenizer.json", "model.onnx"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path)?;
        let file = path.display().to_string();
        for broken in [Some("broken"), None] {
            match broken {
                Some(text) => fs::write(&path, text)?,
                None => fs::remove_file(&path)?,
            }
            let logged = app.logged()?.len();
            let answer = search(true).await?;
            answer.problem(500, "internal")?;
            let mut body: Value = serde_json::from_str(&answer.text)?;
            body["request_id"].take();
            bodies.push(body);
            let log = app.logged()?[logged..].to_owned();
            assert!(log.contains(&file) && log.contains("RERANKER_DIR"), "{log}");
            search(false).await?.success(200)?;
        }
        fs::write(&path, whole)?;
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    search(true).await?.success(200)?;
    Ok(())
}
