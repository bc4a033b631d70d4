//! Migrations: applied once, for one model, however many processes run them.

mod rights;

use anyhow::Context;
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tests::{
    App, Sql,
    command::{Printed, rappel},
};

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
        json!({
            "applied": [],
            "version": first["version"],
            "functions": first["functions"],
            "index": { "state": "valid" }
        })
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

/// Runs `rappel` on `url`, which has to fail, and answers what it said.
async fn refused(url: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let printed = Printed::by(&mut rappel(Some(url), arguments).await?).await?;
    anyhow::ensure!(!printed.success, "{printed:?}");
    Ok(printed.stderr)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_or_a_foreign_migration_is_refused_by_name_and_a_newer_one_is_left_alone()
-> Outcome {
    let app = App::start().await?;
    let (sql, url) = (app.sql().await?, app.database_url());
    sql.run("UPDATE rappel.migrations SET checksum = 'another' WHERE version = 8")
        .await?;
    let said = refused(url, &["migrate"]).await?;
    assert!(
        said.contains("applied the migration 0008_functions with a different text"),
        "{said}"
    );
    // What the functions need is there all the same.
    app.hits(json!({ "query": "rien" })).await?;

    let app = App::start().await?;
    let (sql, url) = (app.sql().await?, app.database_url());
    sql.run(
        "INSERT INTO rappel.migrations (version, name, checksum) VALUES (9999, '9999_future', 'x')",
    )
    .await?;
    let printed = Printed::by(&mut rappel(Some(url), &["migrate"]).await?).await?;
    assert!(
        printed.success && printed.stderr.contains("9999_future"),
        "{printed:?}"
    );
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["newer"], json!(["9999_future"]), "{report}");
    app.hits(json!({ "query": "rien" })).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_functions_of_the_newest_three_builds_are_kept() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    for (place, build) in ["rappel_a", "rappel_b", "rappel_c", "rappel_d"]
        .iter()
        .enumerate()
    {
        sql.run(&format!(
            "CREATE SCHEMA {build};
             INSERT INTO rappel.functions VALUES ('{build}', now() - interval '1 hour' + interval '{place} seconds')"
        ))
        .await?;
    }
    // As after a rollback: this build is not the newest any more.
    let last =
        "UPDATE rappel.functions SET installed_at = now() - interval '1 day' WHERE schema NOT IN
        ('rappel_a', 'rappel_b', 'rappel_c', 'rappel_d')";
    sql.run(last).await?;
    app.invoke("migrate", json!({})).await?;
    let kept = sql
        .texts(
            "SELECT schema FROM rappel.functions ORDER BY installed_at",
            &[],
        )
        .await?;
    let there =
        "SELECT count(*) FROM rappel.functions AS f JOIN pg_namespace AS n ON n.nspname = f.schema";
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert_eq!(sql.number(there, &[]).await?, 3);
    let gone = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('rappel_a', 'rappel_b')";
    assert_eq!(sql.number(gone, &[]).await?, 0);
    app.hits(json!({ "query": "rien" })).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_may_be_in_any_schema_and_no_function_depends_on_the_callers_path() -> Outcome
{
    let elsewhere = async |url: &str| {
        let prepare = "CREATE SCHEMA \"Ext\"; CREATE EXTENSION vector SCHEMA \"Ext\"; CREATE SCHEMA empty;
            DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = empty', current_database()); END $$";
        Sql::connect(url).await?.run(prepare).await?;
        Ok(((), Vec::new()))
    };
    let (app, ()) = App::through(elsewhere).await?;
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["index"], json!({ "state": "valid" }), "{report}");
    app.ingest_samples(&["recette-crepes", "jardin-tomates"])
        .await?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let hits = app
            .hits(json!({ "query": "des crêpes", "mode": mode, "max_distance": 2, "filter": {} }))
            .await?;
        assert_eq!(hits[0]["document_id"], "recette-crepes", "{mode}");
    }
    app.get("/health", &[("deep", "true")])
        .await?
        .success(200)?;
    let sql = app.sql().await?;
    let unpinned = "SELECT p.proname::text FROM pg_proc AS p
        WHERE p.pronamespace IN ('rappel'::regnamespace, to_regnamespace($1)) AND p.prosqlbody IS NULL
          AND NOT coalesce(p.proconfig::text LIKE '%search_path=%pg_temp%', false)";
    let unpinned = sql.texts(unpinned, &[&migrations::FUNCTIONS]).await?;
    assert!(unpinned.is_empty(), "{unpinned:?}");

    // Moved, it is followed.
    sql.run("ALTER EXTENSION vector SET SCHEMA public").await?;
    app.invoke("migrate", json!({})).await?;
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_read_leave_the_schema_and_say_what_to_run() -> Outcome {
    let app = App::unmigrated().await?;
    let url = app.database_url();
    for arguments in [
        ["search", "quoi ?"].as_slice(),
        &["chat", "quoi ?"],
        &["bench", "--loaded"],
    ] {
        let said = refused(url, arguments).await?;
        assert!(
            said.contains("no Rappel schema") && said.contains("`rappel migrate`"),
            "{said}"
        );
    }
    let sql = app.sql().await?;
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rappel%'";
    assert_eq!(sql.number(schemas, &[]).await?, 0);
    Ok(())
}
