//! Searches use the index: verified by the server's plans and counters, not by timing.

mod effort;

use std::time::Duration;

use anyhow::Context;
use filter::Filter;
use serde_json::json;
use tests::{
    App, Sql,
    command::{Printed, rappel},
};

use crate::{Outcome, doctor::Report};

/// Enough that reading all of them costs more than walking the index as widely as a search does, and more than are compared with
/// a phrase.
const DOCUMENTS: i32 = 20_100;

const INDEX: &str = "chunks_embedding_hnsw";

/// The filter that half of the documents match, as it is compiled.
const HALF: &str = r#"{"metadata": "$.half == 1"}"#;

/// Stores documents with random embeddings, past the product: a plan depends on numbers of rows,
/// not on their meaning. The index is built last, which takes a tenth of the time.
async fn store_synthetic(sql: &Sql) -> anyhow::Result<()> {
    let index = "SELECT pg_get_indexdef(to_regclass('rappel.chunks_embedding_hnsw'))";
    let create_index = sql.texts(index, &[]).await?.concat();
    sql.run(&format!(
        "DROP INDEX rappel.{INDEX};
         INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT 'synthetic-' || n, '', 'text ' || n, jsonb_build_object('half', n % 2, 'year', 1000 + n % 1000), ''
         FROM generate_series(1, {DOCUMENTS}) AS n;
         INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
         SELECT 'synthetic-' || n, 0, 0, 'text ' || n, (
             -- Naming n makes the subquery run, and so be random, for each row.
             SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) AS d WHERE n + d > 0
         )::halfvec
         FROM generate_series(1, {DOCUMENTS}) AS n;
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT 'synthetic-' || n, 0, 0, '{{}}', '{{}}' FROM generate_series(1, {DOCUMENTS}) AS n;
         {create_index};
         ANALYZE rappel.documents;
         ANALYZE rappel.chunks;"
    ))
    .await
}

/// Gives this session the settings, the path among them, that `search` runs its statements with.
async fn set_as_the_search_does(sql: &Sql) -> anyhow::Result<()> {
    let settings = concat!(
        "SELECT unnest(proconfig) FROM pg_proc WHERE oid = to_regproc('",
        schema::function!("search"),
        "')"
    );
    let settings = sql.texts(settings, &[]).await?;
    anyhow::ensure!(!settings.is_empty(), "the search has settings of its own");
    for setting in settings {
        let (name, value) = setting.split_once('=').context("a setting has a value")?;
        let adopt = "SELECT set_config($1, $2, false)";
        sql.texts(adopt, &[&name, &value]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_planned_and_run_on_the_index() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store_synthetic(&sql).await?;
    set_as_the_search_does(&sql).await?;
    // A literal: a subquery in its place would keep the planner from looking inside the function.
    let query = "SELECT embedding::text FROM rappel.chunks ORDER BY document_id LIMIT 1";
    let query = sql.texts(query, &[]).await?.concat();

    for call in [
        format!("nearest('', '{query}'::halfvec, 30)"),
        format!("nearest_filtered('', '{query}'::halfvec, 30, '{HALF}'::jsonb)"),
    ] {
        let plan = sql.plan(&format!("SELECT * FROM {call}")).await?;
        assert!(
            plan.contains(&format!("Index Scan using {INDEX}")),
            "{plan}"
        );
        assert!(!plan.contains("Seq Scan on chunks"), "{plan}");
    }
    the_counter_of_scans_rises(&app, &sql).await?;
    a_phrase_is_not_compared_with_every_passage(&app).await?;
    ranges_are_answered_by_an_index_that_is_added(&app, &sql, &query).await
}

/// Nothing tells which of them have it: its words are in no index.
async fn a_phrase_is_not_compared_with_every_passage(app: &App) -> Outcome {
    for (query, is_partial) in [
        ("\"il y a\"", true),
        ("\"une mare\"", false),
        ("il y a", false),
    ] {
        let search = json!({ "query": query, "mode": "keyword" });
        let answer = app.post("/search", search).await?.success(200)?;
        assert_eq!(answer["hits"], json!([]), "{answer}");
        assert_eq!(answer["partial"] == json!(true), is_partial, "{answer}");
    }
    Ok(())
}

/// `doctor` proposes it; the planner uses it; what an interrupted build leaves is named and built again.
async fn ranges_are_answered_by_an_index_that_is_added(
    app: &App,
    sql: &Sql,
    query: &str,
) -> Outcome {
    let url = app.database_url();
    let index = async |arguments: &[&str]| {
        let arguments = [&["index"], arguments].concat();
        Printed::by(&mut rappel(Some(url), &arguments).await?).await
    };
    sql.run("SET enable_bitmapscan = off").await?;
    for _ in 0..25 {
        sql.number(
            "SELECT count(*) FROM rappel.documents WHERE metadata @@ '$.year > 1990'",
            &[],
        )
        .await?;
    }
    sql.run("RESET enable_bitmapscan; SELECT pg_stat_force_next_flush()")
        .await?;
    let proposed = Report::of(url, &["--sandboxes", "1"]).await?;
    let proposed = proposed.says("field-indexes")?;
    assert!(
        proposed.contains("ranges of year have no index")
            && proposed.contains("rappel index add year"),
        "{proposed}"
    );

    let filter = json!({ "year": { "$gte": 1003, "$lt": 1005 } });
    let compiled = Filter::parse(&filter.to_string())?.compile().to_json();
    let plan = async || -> anyhow::Result<String> {
        let filter = sql
            .texts("SELECT with_indexes($1::text::jsonb)::text", &[&compiled])
            .await?
            .concat();
        sql.plan(&format!(
            "SELECT * FROM nearest_exact('', '{query}'::halfvec, 30, 1, '{filter}')"
        ))
        .await
    };
    assert!(!plan().await?.contains("documents_field"));
    index(&["add", "year"]).await?.answer()?;
    let planned = plan().await?;
    assert!(
        planned.contains("Index Scan on documents_field_") && !planned.contains("Seq Scan"),
        "{planned}"
    );
    // As its statistics say, some 60 documents are from 1003 to 1005, and it allows for some lists.
    let many = "SELECT many_match('', with_indexes($1::text::jsonb), $2)::text";
    assert_eq!(sql.texts(many, &[&compiled, &60]).await?, ["false"]);
    assert_eq!(sql.texts(many, &[&compiled, &10]).await?, ["true"]);
    let search = json!({ "query": "la mer", "limit": 100, "filter": filter });
    assert_eq!(app.hits(search.clone()).await?.len(), 42);

    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid::regclass::text LIKE '%documents_field_%'")
        .await?;
    assert!(!plan().await?.contains("documents_field"));
    assert_eq!(app.hits(search).await?.len(), 42);
    let listed = index(&["list"]).await?;
    assert!(
        listed.answer()?.contains("year  number")
            && listed.answer()?.contains("`rappel index add year`"),
        "{listed:?}"
    );
    let examined = Report::of(url, &["--sandboxes", "1"]).await?;
    let invalid = examined.says("field-indexes")?;
    assert!(
        invalid.contains("the index on year is invalid"),
        "{invalid}"
    );
    index(&["add", "year"]).await?.answer()?;
    assert!(plan().await?.contains("documents_field"));

    index(&["remove", "year"]).await?.answer()?;
    assert_eq!(index(&["list"]).await?.answer()?, "");
    let refused = index(&["remove", "year"]).await?;
    assert!(
        !refused.success && refused.stderr.contains("year has no index"),
        "{refused:?}"
    );
    let refused = index(&["add", "$id"]).await?;
    assert!(
        !refused.success && refused.stderr.contains("FIELD"),
        "{refused:?}"
    );
    Ok(())
}

async fn scans(sql: &Sql) -> anyhow::Result<i64> {
    let counter = "SELECT coalesce(sum(idx_scan), 0)::bigint FROM pg_stat_user_indexes WHERE indexrelname = $1";
    sql.number(counter, &[&INDEX]).await
}

async fn the_counter_of_scans_rises(app: &App, sql: &Sql) -> Outcome {
    let before = scans(sql).await?;

    // A server process reports its counters at most once a second, some of them when its next
    // statement comes: searching goes on until they show.
    for _ in 0..60 {
        assert_eq!(
            app.hits(json!({ "query": "la mer", "limit": 5 }))
                .await?
                .len(),
            5
        );
        if scans(sql).await? > before {
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
    sql.run("UPDATE rappel.documents SET metadata = '{\"rare\": true}' WHERE id IN ('synthetic-1', 'synthetic-19999')")
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

/// What a semantic search finds, and whether it compared all that match, if `few` is the most that it would.
async fn candidates(sql: &Sql, few: i32) -> anyhow::Result<(String, String)> {
    let found = "SELECT few_match::text || ' ' || distances::text FROM semantic_candidates(
        '', (SELECT embedding FROM rappel.chunks ORDER BY document_id LIMIT 1), 10, 30, 1, $2::text::jsonb, NULL, $1)";
    let found = sql.texts(found, &[&few, &HALF]).await?.concat();
    let (few_match, distances) = found.split_once(' ').context("two columns")?;
    Ok((few_match.to_owned(), distances.to_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_compared_where_they_are_few_enough() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store_synthetic(&sql).await?;
    set_as_the_search_does(&sql).await?;
    let exact = "SELECT array_agg(n.distance ORDER BY n.distance)::text FROM nearest_exact(
        '', (SELECT embedding FROM rappel.chunks ORDER BY document_id LIMIT 1), 30, 1, $1::text::jsonb) AS n";
    let exact = sql.texts(exact, &[&HALF]).await?.concat();

    // Half of the documents match.
    let half = DOCUMENTS / 2;
    assert_eq!(candidates(&sql, half).await?, ("true".to_owned(), exact));
    for fewer in [half - 1, half / 3] {
        let (few_match, _) = candidates(&sql, fewer).await?;
        assert_eq!(few_match, "false", "{fewer}");
    }
    for (few, guessed_many, are_few) in [
        (half, "false", "true"),
        (half - 1, "false", "false"),
        (half / 3, "true", "false"),
    ] {
        let said = "SELECT unnest(ARRAY[many_match('', f, $1), few_match('', f, $1)])::text
            FROM (SELECT $2::text::jsonb) AS filter (f)";
        let said = sql.texts(said, &[&few, &HALF]).await?;
        assert_eq!(said, [guessed_many, are_few], "{few}");
    }
    Ok(())
}
