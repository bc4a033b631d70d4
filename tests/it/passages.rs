//! Several passages of a document: neighbours are one hit, and pages are full all the same.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::{App, Sql};

use crate::Outcome;

/// The places of a book's ten passages: all of them neighbours, or the first three apart from the others.
const NEIGHBOURS: &str = "0,1,2,3,4,5,6,7,8,9";
const APART: &str = "0,2,4,6,7,8,9,10,11,12";

/// More than the passages that are compared one by one.
const MANY_BOOKS: u32 = 520;

/// Stores books past the product. The passages of a book are equally near to any question, and have the same word. The index is
/// built last, which takes less time.
async fn store(sql: &Sql, books: u32, places: &str) -> Outcome {
    let index = "SELECT pg_get_indexdef(to_regclass('rappel.chunks_embedding_hnsw'))";
    let create_index = sql.texts(index, &[]).await?.concat();
    sql.run(&format!(
        "DROP INDEX rappel.chunks_embedding_hnsw;
         INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT 'book-' || n, '', repeat('text ', 20), jsonb_build_object('shelf', 1), ''
         FROM generate_series(1, {books}) AS n;
         WITH book AS MATERIALIZED (
             SELECT 'book-' || n AS id, (
                 -- Naming n makes the subquery run, and so be random, for each row.
                 SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) AS d WHERE n + d > 0
             )::halfvec AS embedding
             FROM generate_series(1, {books}) AS n
         )
         INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
         SELECT b.id, o, o * 5, 'text ', b.embedding
         FROM book AS b, unnest(ARRAY[{places}]) AS o;
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT 'book-' || n, o, 1, '{{text}}', '{{1}}'
         FROM generate_series(1, {books}) AS n, unnest(ARRAY[{places}]) AS o;
         {create_index};
         ANALYZE rappel.documents;
         ANALYZE rappel.chunks;"
    ))
    .await
}

/// Document and passage of each hit.
async fn page(app: &App, search: &Value, offset: usize) -> anyhow::Result<Vec<(String, u64)>> {
    let mut search = search.clone();
    search["offset"] = json!(offset);
    let hits = app.hits(search).await?;
    let place = |hit: &Value| {
        Some((
            hit["document_id"].as_str()?.to_owned(),
            hit["chunk"].as_u64()?,
        ))
    };
    let places: Option<Vec<_>> = hits.iter().map(place).collect();
    places.context("a hit without its document or its passage")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_full_where_the_nearest_passages_are_neighbours() -> Outcome {
    let app = App::start().await?;
    store(&app.sql().await?, MANY_BOOKS, NEIGHBOURS).await?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let search = json!({ "query": "text", "mode": mode, "limit": 50, "passages": 10, "fields": [], "count": "none" });
        let mut seen = BTreeSet::new();
        for offset in (0..300).step_by(50) {
            let page = page(&app, &search, offset).await?;
            assert_eq!(page.len(), 50, "{mode}, from {offset} on");
            seen.extend(page);
        }
        assert_eq!(seen.len(), 300, "{mode}: no passage is on two pages");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_full_where_all_passages_are_compared() -> Outcome {
    let app = App::start().await?;
    store(&app.sql().await?, 30, NEIGHBOURS).await?;
    for mode in ["semantic", "keyword", "hybrid"] {
        // In quotes it is a phrase, which few passages have.
        for (query, filter) in [
            ("text", Value::Null),
            ("text", json!({ "shelf": 1 })),
            ("\"text\"", Value::Null),
        ] {
            let search = json!({ "query": query, "filter": filter, "mode": mode, "limit": 15, "passages": 10, "fields": [] });
            let mut books = BTreeSet::new();
            for offset in [0, 15] {
                let page = page(&app, &search, offset).await?;
                assert_eq!(page.len(), 15, "{search}, from {offset} on");
                books.extend(page.into_iter().map(|(book, _)| book));
            }
            assert_eq!(books.len(), 30, "{search}: each book is one hit");
            let beyond = page(&app, &search, 30).await?;
            assert!(beyond.is_empty(), "{search}: {beyond:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_full_where_words_choose_neighbours_and_embeddings_do_not() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    store(&sql, MANY_BOOKS, APART).await?;
    let nearest = json!({ "query": "zorglub", "mode": "semantic", "limit": 12, "fields": [] });
    let nearest = page(&app, &nearest, 0).await?;
    assert_eq!(nearest.len(), 12);
    let books: Vec<&str> = nearest.iter().map(|(book, _)| book.as_str()).collect();
    let books = books.join("', '");
    // Rows are never updated: their triggers count terms that are added and deleted.
    sql.run(&format!(
        "DELETE FROM rappel.chunk_terms WHERE document_id IN ('{books}') AND ordinal IN (6, 7, 8);
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT book, place, 1, '{{zorglub}}', '{{1}}'
         FROM unnest(ARRAY['{books}']) AS book, unnest(ARRAY[6, 7, 8]) AS place"
    ))
    .await?;
    let search = json!({ "query": "zorglub", "limit": 25, "passages": 3, "fields": [] });
    let first = page(&app, &search, 0).await?;
    assert_eq!(first.len(), 25);
    // The three passages with the word are one hit.
    let with_word: BTreeSet<_> = nearest.into_iter().map(|(book, _)| (book, 6)).collect();
    let best: BTreeSet<_> = first[..12].iter().cloned().collect();
    assert_eq!(best, with_word);
    let second = page(&app, &search, 25).await?;
    assert_eq!(second.len(), 25);
    let both: BTreeSet<_> = first.into_iter().chain(second).collect();
    assert_eq!(both.len(), 50, "no passage is on two pages");
    Ok(())
}
