//! Upgrading the database of an earlier release while that release serves, and rolling back.
//!
//! The old binaries are played by their statements: to build them here would take minutes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use anyhow::Context;
use embedder::Manifest;
use serde_json::json;
use tests::{
    App, Assets, Sql,
    command::{Printed, rappel},
};

use crate::Outcome;

/// The schema and some rows as commit 950a265 makes them.
const RELEASE: &str = include_str!("../releases/950a265.sql");

/// An embedding that needs no model.
const EMBEDDING: &str = "(SELECT array_agg((sin(n) / 14)::real) FROM generate_series(1, 384) AS n)";

/// The product on a database of that release, but of this build's recipe: a conversion to another recipe keeps all
/// others out, which is `recipe.rs`'s story.
async fn released() -> anyhow::Result<App> {
    let manifest = Manifest::read(&Assets::prepared().await?.model)?;
    let recipe = format!("UPDATE rappel.model SET name = '{}'", manifest.recipe());
    let load = async |url: &str| {
        let sql = Sql::connect(url).await?;
        sql.run(RELEASE).await?;
        sql.run(&recipe).await?;
        Ok(((), Vec::new()))
    };
    Ok(App::through(load).await?.0)
}

/// The documents that the release's search finds.
async fn old_search(sql: &Sql, mode: &str) -> anyhow::Result<Vec<String>> {
    let search = format!(
        "SELECT document_id FROM rappel.search((SELECT name FROM rappel.model), '{mode}', {EMBEDDING}, '{{migrain,noir}}', 5,
             NULL, NULL, 200, 0.7, 1.2, 0.75, 0, true)"
    );
    sql.texts(&search, &[]).await
}

/// Stores a document as the release does, and says whether it is new.
async fn old_upsert(sql: &Sql, id: &str) -> anyhow::Result<String> {
    let upsert = format!(
        "SELECT created::text FROM rappel.upsert((SELECT name FROM rappel.model), ARRAY['{id}'], '{{Noir}}', '{{Le noir.}}',
             ARRAY['{{}}'], ARRAY['\\x01'::bytea], '{{1}}', '{{0}}', '{{0}}', '{{Le noir.}}', {EMBEDDING}, '{{1}}',
             '{{1}}', '{{noir}}', '{{1}}')"
    );
    Ok(sql.texts(&upsert, &[]).await?.concat())
}

/// Searches and writes as the release does until `done`; answers how often. A write that is under way while the keys of the
/// tables change fails once: it was planned for a key that is gone.
async fn serve_as_the_release(
    url: String,
    done: Arc<AtomicBool>,
    served: Arc<AtomicU64>,
) -> Outcome {
    let sql = Sql::connect(&url).await?;
    let mut met_migration = false;
    while !done.load(Ordering::Relaxed) {
        let round = served.fetch_add(1, Ordering::Relaxed);
        let id = format!("old-{}", round % 3);
        if let Err(error) = old_upsert(&sql, &id).await {
            let said = format!("{error:#}");
            anyhow::ensure!(said.contains("ON CONFLICT") && !met_migration, "{said}");
            met_migration = true;
            old_upsert(&sql, &id).await?;
        }
        for mode in ["semantic", "keyword", "hybrid"] {
            let hits = old_search(&sql, mode).await?;
            anyhow::ensure!(hits.contains(&"migraine".to_owned()), "{mode}: {hits:?}");
        }
        sql.run(&format!("DELETE FROM rappel.documents WHERE id = '{id}'"))
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_upgraded_while_an_older_release_serves_it_and_after_a_rollback() -> Outcome {
    let app = released().await?;
    let (done, served) = (Arc::default(), Arc::default());
    let release = tokio::spawn(serve_as_the_release(
        app.database_url().to_owned(),
        Arc::clone(&done),
        Arc::clone(&served),
    ));
    let wait_for = async |rounds: u64| {
        let wanted = served.load(Ordering::Relaxed) + rounds;
        while served.load(Ordering::Relaxed) < wanted && !release.is_finished() {
            tokio::task::yield_now().await;
        }
    };
    wait_for(3).await;
    let report = app.invoke("migrate", json!({})).await?;
    assert!(
        report["applied"]
            .as_array()
            .is_some_and(|applied| !applied.contains(&json!("0007_baseline"))),
        "{report}"
    );
    wait_for(3).await;
    // The new functions serve beside the old ones, on what those have stored.
    app.put(
        "/documents/new",
        json!({ "content": "Le noir complet calme la migraine." }),
    )
    .await?
    .success(201)?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let hits = app
            .hits(json!({ "query": "migraine", "mode": mode, "limit": 10 }))
            .await?;
        let ids: Vec<&str> = hits
            .iter()
            .filter_map(|hit| hit["document_id"].as_str())
            .collect();
        assert!(
            ids.contains(&"migraine") && ids.contains(&"new"),
            "{mode}: {ids:?}"
        );
    }
    app.get("/documents/jardin", &[]).await?.success(200)?;
    app.get("/imports/018f-import", &[]).await?;
    wait_for(3).await;
    done.store(true, Ordering::Relaxed);
    release.await??;

    // Rolled back: the release's `migrate` finds nothing to do, and its functions find what the new ones stored.
    let sql = app.sql().await?;
    sql.run("CREATE EXTENSION IF NOT EXISTS vector; CREATE SCHEMA IF NOT EXISTS rappel")
        .await?;
    let newest = "SELECT coalesce(max(version), 0)::bigint FROM rappel.migrations";
    assert!(sql.number(newest, &[]).await? >= 7);
    assert!(
        old_search(&sql, "keyword")
            .await?
            .contains(&"new".to_owned())
    );
    assert_eq!(old_upsert(&sql, "new").await?, "false");
    // What vouches for the embeddings of the text that the release replaced is gone with it.
    let vouched =
        "SELECT count(*) FROM rappel.documents WHERE id = 'new' AND text_hash IS NOT NULL";
    assert_eq!(sql.number(vouched, &[]).await?, 0);
    Ok(())
}

/// Columns, constraints, indexes, triggers and recorded migrations, one line each; functions come and go.
async fn tables(app: &App) -> anyhow::Result<Vec<String>> {
    let described = "
        SELECT format('%s.%s %s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      a.attstorage, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'rappel'::regnamespace AND c.relkind IN ('r', 'i')
        UNION ALL
        SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'rappel'::regnamespace
        UNION ALL
        SELECT indexdef FROM pg_indexes WHERE schemaname = 'rappel'
        UNION ALL
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'rappel'::regnamespace AND NOT t.tgisinternal
        UNION ALL
        SELECT pg_get_functiondef('rappel.count_terms'::regproc)
        UNION ALL
        SELECT format('%s %s %s', version, name, checksum) FROM rappel.migrations
        ORDER BY 1";
    app.sql().await?.texts(described, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_database_with_a_new_index_has_the_tables_of_a_new_one() -> Outcome {
    let upgraded = released().await?;
    upgraded.invoke("migrate", json!({})).await?;
    let rebuild = ["index", "rebuild"];
    Printed::by(&mut rappel(Some(upgraded.database_url()), &rebuild).await?)
        .await?
        .answer()?;
    let new = App::start().await?;
    let (upgraded, new) = (tables(&upgraded).await?, tables(&new).await?);
    assert!(new.len() > 60, "{new:?}");
    assert_eq!(upgraded, new);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_too_old_is_refused_and_not_changed() -> Outcome {
    let app = released().await?;
    let sql = app.sql().await?;
    sql.run("DELETE FROM rappel.migrations WHERE version > 5")
        .await?;
    let refusal = app.invoke("migrate", json!({})).await;
    let refusal = refusal
        .err()
        .context("the migration is refused")?
        .to_string();
    let said = format!("{refusal} {}", app.logged()?);
    assert!(said.contains("the schema is at version 5"), "{said}");
    Ok(())
}
