//! The schema: applied once, by whoever comes first, for one model.

use anyhow::Context;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

fn applied(report: &Value) -> anyhow::Result<Vec<&str>> {
    let names = report["applied"]
        .as_array()
        .context("migrate lists what it applied")?;
    names
        .iter()
        .map(|name| name.as_str().context("a migration has a name"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_run_has_nothing_to_do() -> Outcome {
    let app = App::unmigrated().await?;
    let first = app.invoke("migrate", json!({})).await?;
    let second = app.invoke("migrate", json!({})).await?;

    assert!(applied(&first)?.len() > 1, "{first}");
    assert_eq!(
        second,
        json!({ "applied": [], "version": first["version"], "functions": first["functions"] })
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn five_runs_at_once_apply_each_migration_once() -> Outcome {
    let app = App::unmigrated().await?;
    let reports = try_join_all((0..5).map(|_| app.invoke("migrate", json!({})))).await?;

    let mut names = Vec::new();
    for report in &reports {
        names.extend(applied(report)?);
        assert_eq!(report["version"], reports[0]["version"]);
    }
    let sql = app.sql().await?;
    let stored = sql
        .texts("SELECT name FROM rappel.migrations ORDER BY version", &[])
        .await?;
    assert_eq!(names, stored);
    let valid = "SELECT count(*) FROM pg_index
        WHERE indexrelid = to_regclass('rappel.chunks_embedding_hnsw') AND indisvalid";
    assert_eq!(sql.number(valid, &[]).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_migration_a_search_says_that_it_is_missing() -> Outcome {
    let app = App::unmigrated().await?;
    app.post("/search", json!({ "query": "trop tôt" }))
        .await?
        .problem(503, "not-migrated")?;
    app.invoke("migrate", json!({})).await?;
    app.post("/search", json!({ "query": "à l’heure" }))
        .await?
        .success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_model_is_refused_and_both_are_named() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run("UPDATE rappel.model SET name = 'someone-elses-model', dimensions = 512")
        .await?;

    // A sandbox that refuses to start has no request to answer: what the client sees is the
    // gateway's 5xx or our own, and the log has both names.
    let answer = app
        .post("/search", json!({ "query": "qui suis-je ?" }))
        .await?;
    assert!(answer.status >= 500, "{}: {}", answer.status, answer.text);
    let write = app
        .put(
            "/documents/x",
            json!({ "content": "Rien ne doit être écrit." }),
        )
        .await?;
    assert!(write.status >= 500, "{}: {}", write.status, write.text);
    let log = app.logged()?;
    assert!(
        log.contains("someone-elses-model") && log.contains("multilingual-e5-small"),
        "{log}"
    );
    assert!(log.contains("512") && log.contains("384"), "{log}");

    let refusal = app.invoke("migrate", json!({})).await;
    assert!(
        refusal.is_err(),
        "migrating a database of another model fails: {refusal:?}"
    );
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.documents", &[])
            .await?,
        0
    );
    Ok(())
}
