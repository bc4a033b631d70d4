//! Searches walk the index: read from the server's plans and counters, never from a clock.

use std::time::Duration;

use serde_json::json;
use tests::{App, Sql};

use crate::Outcome;

/// Enough that reading all of them costs more than walking the index.
const DOCUMENTS: i32 = 3_000;

const INDEX: &str = "chunks_embedding_hnsw";

/// Stores documents with random embeddings, past the product: a plan depends on numbers of rows,
/// not on their meaning.
async fn store_synthetic(sql: &Sql) -> anyhow::Result<()> {
    sql.run(&format!(
        "INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT 'synthetic-' || n, '', 'text ' || n, jsonb_build_object('half', n % 2), ''
         FROM generate_series(1, {DOCUMENTS}) AS n;
         INSERT INTO rappel.chunks (document_id, ordinal, content, embedding)
         SELECT 'synthetic-' || n, 0, 'text ' || n, (
             -- Naming n makes the subquery run, and so be random, for each row.
             SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) AS d WHERE n + d > 0
         )::halfvec
         FROM generate_series(1, {DOCUMENTS}) AS n;
         ANALYZE rappel.documents;
         ANALYZE rappel.chunks;"
    ))
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_nearest_functions_are_planned_on_the_index() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store_synthetic(&sql).await?;
    // A literal: a subquery in its place would keep the planner from looking inside the function.
    let query = "SELECT embedding::text FROM rappel.chunks ORDER BY document_id LIMIT 1";
    let query = sql.texts(query, &[]).await?.concat();

    for call in [
        format!("rappel.nearest('{query}'::halfvec, 30)"),
        format!("rappel.nearest_filtered('{query}'::halfvec, 30, '{{\"half\": 1}}'::jsonb)"),
    ] {
        let plan = sql.plan(&format!("SELECT * FROM {call}")).await?;
        assert!(
            plan.contains(&format!("Index Scan using {INDEX}")),
            "{plan}"
        );
        assert!(!plan.contains("Seq Scan on chunks"), "{plan}");
    }
    Ok(())
}

async fn scans(sql: &Sql) -> anyhow::Result<i64> {
    let counter = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname = $1";
    sql.number(counter, &[&INDEX]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_scans_the_index() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store_synthetic(&sql).await?;
    let before = scans(&sql).await?;

    // A server process reports its counters at most once a second, some of them when its next
    // statement comes: searching goes on until they show.
    for _ in 0..60 {
        assert_eq!(
            app.hits(json!({ "query": "la mer", "limit": 5 }))
                .await?
                .len(),
            5
        );
        if scans(&sql).await? > before {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    anyhow::bail!("60 searches within 15 seconds left the index's counter at {before}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_matches_few_documents_still_finds_all_of_them() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store_synthetic(&sql).await?;
    sql.run("UPDATE rappel.documents SET metadata = '{\"rare\": true}' WHERE id IN ('synthetic-1', 'synthetic-2999')")
        .await?;

    let hits = app
        .hits(json!({ "query": "la mer", "filter": { "rare": true } }))
        .await?;
    assert_eq!(hits.len(), 2);
    let half = app
        .hits(json!({ "query": "la mer", "limit": 100, "filter": { "half": 1 } }))
        .await?;
    assert_eq!(half.len(), 100);
    Ok(())
}
