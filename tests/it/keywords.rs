//! Keyword search: hits are scored by BM25.

mod look_alikes;
mod spellings;
mod statistics;

use std::collections::HashMap;

use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// Counts that differ from a recount of what is stored.
const WRONG_COUNTS: &str = "
    SELECT count(*)
    FROM (
        SELECT u.term, count(*) AS chunks, sum(u.frequency) AS occurrences
        FROM rappel.chunk_terms AS t, unnest(t.terms, t.frequencies) AS u (term, frequency)
        GROUP BY u.term
        UNION ALL
        SELECT '', count(*), sum(t.length) FROM rappel.chunk_terms AS t HAVING count(*) > 0
    ) AS recount
    FULL JOIN (
        SELECT s.term, sum(s.chunks) AS chunks, sum(s.occurrences) AS occurrences
        FROM rappel.term_statistics AS s
        GROUP BY s.term
        HAVING sum(s.chunks) <> 0 OR sum(s.occurrences) <> 0
    ) AS kept USING (term)
    WHERE (recount.chunks, recount.occurrences) IS DISTINCT FROM (kept.chunks, kept.occurrences)";

/// A document of invented words, which no stemmer knows.
fn words(id: &str, content: &str) -> Value {
    json!({ "id": id, "title": "", "content": content, "metadata": { "language": "fr" } })
}

/// BM25 with k1 = 1.2 and b = 0.75, as the formula reads, over texts of words apart by blanks.
fn bm25(texts: &HashMap<&str, &str>, id: &str, question: &str) -> f64 {
    let (k1, b) = (1.2, 0.75);
    let length = |text: &str| text.split(' ').count() as f64;
    let average = texts.values().map(|text| length(text)).sum::<f64>() / texts.len() as f64;
    let text = texts[id];
    let score = |word: &str| {
        let having = texts
            .values()
            .filter(|text| text.split(' ').any(|w| w == word));
        let (all, having) = (texts.len() as f64, having.count() as f64);
        let idf = (1.0 + (all - having + 0.5) / (having + 0.5)).ln();
        let frequency = text.split(' ').filter(|w| *w == word).count() as f64;
        idf * frequency * (k1 + 1.0) / (frequency + k1 * (1.0 - b + b * length(text) / average))
    };
    question.split(' ').map(score).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_counts_once_whatever_the_number_of_its_stems() -> Outcome {
    let app = App::start().await?;
    // Too short to tell their language, so that each word has the stems of several, in the question as well.
    let short = |id: &str, content: &str| json!({ "id": id, "title": "", "content": content });
    app.ingest(vec![
        short("conges", "congés"),
        short("payes", "salaires payés"),
    ])
    .await?;
    let request = json!({ "query": "congés payés", "mode": "keyword" });
    let hits = app.hits(request).await?;
    assert_eq!(hits.len(), 2, "{hits:#?}");
    for hit in &hits {
        let coverage = hit["coverage"].as_f64();
        assert!(coverage.is_some_and(|share| share < 0.5), "{hit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_with_both_words_is_found_before_many_with_all_stems_of_one() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // Past the product: so many that not all of them are scored.
    sql.run(
        "CREATE TEMP TABLE made AS
             SELECT 'stems-' || n AS id, '{rarea,rareb}'::text[] AS terms FROM generate_series(1, 200) AS n
             UNION ALL SELECT 'both', '{common,rarea}'
             UNION ALL SELECT 'common-' || n, '{common}' FROM generate_series(1, 700) AS n;
         INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
         SELECT m.id, '', '', '{}', '' FROM made AS m;
         INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
         SELECT m.id, 0, 2, m.terms, array_fill(1::smallint, ARRAY[cardinality(m.terms)]) FROM made AS m",
    )
    .await?;
    let found = format!(
        "SELECT k.ids[1]
         FROM {schema}.term_weights('', '{{common,rarea,rareb}}', '{{0,1,1}}', '{{0,1,1}}') AS w,
              LATERAL {schema}.keyword_candidates(
                  '', w.terms, w.weights, w.pieces, {schema}.bm25_expression(w.terms, w.weights, w.pieces, 1.2),
                  1.2, 0.75, 2, 10, 1, NULL, NULL, NULL, false, 1000) AS k",
        schema = migrations::FUNCTIONS
    );
    assert_eq!(sql.texts(&found, &[]).await?, ["both"]);
    Ok(())
}

async fn assert_scores(app: &App, texts: &HashMap<&str, &str>, question: &str) -> Outcome {
    let request = json!({ "query": question, "mode": "keyword", "limit": 100 });
    let hits = app.hits(request).await?;
    let mut expected: Vec<(&str, f64)> = texts
        .keys()
        .map(|id| (*id, bm25(texts, id, question)))
        .filter(|(_, score)| *score > 0.0)
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
    assert_eq!(hits.len(), expected.len(), "{question}: {hits:#?}");
    for (hit, (id, score)) in hits.iter().zip(expected) {
        assert_eq!(hit["document_id"], id, "{question}: {hits:#?}");
        let found = hit["keyword_score"].as_f64().unwrap_or_default();
        assert!((found - score).abs() < 1e-9, "{id}: {found}, not {score}");
        assert_eq!(hit["score"], hit["coverage"]);
        assert!(hit["distance"].is_number(), "{hit}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keyword_scores_are_bm25_as_documents_come_change_and_go() -> Outcome {
    let app = App::start().await?;
    let mut texts = HashMap::from([
        ("a", "zorglub bulgroz zorglub fantax"),
        ("b", "bulgroz"),
        (
            "c",
            "zorglub klaxmur klaxmur klaxmur klaxmur bulgroz vrotch",
        ),
        ("d", "vrotch vrotch"),
    ]);
    let documents = texts.iter().map(|(id, text)| words(id, text)).collect();
    app.ingest(documents).await?;
    let questions = [
        "zorglub",
        "bulgroz vrotch",
        "klaxmur zorglub fantax bulgroz",
    ];
    for question in questions {
        assert_scores(&app, &texts, question).await?;
    }

    texts.insert("a", "fantax fantax vrotch");
    app.ingest(vec![words("a", texts["a"])]).await?;
    texts.remove("c");
    app.delete("/documents/c").await?;
    for question in questions {
        assert_scores(&app, &texts, question).await?;
    }
    assert_eq!(app.sql().await?.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}
