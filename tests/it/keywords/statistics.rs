//! Term statistics stay exact through every change.

use futures_util::future::try_join_all;
use serde_json::json;
use tests::{
    App,
    command::{Printed, open_folder, rappel, write_lines},
};

use super::{WRONG_COUNTS, words};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_share_words_neither_deadlock_nor_lose_a_count() -> Outcome {
    let app = App::start_with(4).await?;
    let round = |round: usize| {
        let app = &app;
        try_join_all((0..8).map(move |writer| async move {
            // Every second writer stores the same documents as its neighbour, with other words.
            let documents = (0..5).map(|n| {
                let text = format!("zorglub bulgroz klaxmur{} vrotch{round}", (writer + n) % 3);
                words(&format!("{}-{n}", writer / 2), &text)
            });
            app.ingest(documents.collect()).await
        }))
    };
    round(0).await?;
    let sql = app.sql().await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    round(1).await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.chunk_terms", &[])
            .await?,
        20
    );

    sql.run("DELETE FROM rappel.documents WHERE id LIKE '1-%'")
        .await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    sql.run("TRUNCATE rappel.documents CASCADE").await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_counts_words_as_the_api_does() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let endings = ["b", "c", "d", "f", "g", "k", "m"];
    let text = |n: usize| format!("zorglub bulgroz{}", endings[n % 7]);
    let lines: Vec<String> = (0..300)
        .map(|n| words(&format!("d{n}"), &text(n)).to_string())
        .collect();
    let file = write_lines(folder.path(), "words.jsonl", &lines)?;
    Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?)
        .await?
        .answer()?;
    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.chunk_terms", &[])
            .await?,
        300
    );
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    let request = json!({ "query": "bulgrozf", "mode": "keyword", "limit": 100 });
    assert_eq!(app.hits(request).await?.len(), 300 / 7 + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn accents_without_a_letter_are_no_word() -> Outcome {
    let app = App::start().await?;
    // U+0345 and U+0363 count as letters.
    app.put(
        "/documents/accents",
        json!({ "content": "\u{345}\n\u{363} zorglub \u{363}" }),
    )
    .await?
    .success(201)?;
    for query in ["\u{345}", "zorglub \u{363}\n\u{363}"] {
        app.post("/search", json!({ "query": query }))
            .await?
            .success(200)?;
    }
    let sql = app.sql().await?;
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn term_counts_of_many_writers_are_merged_by_later_ones() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    app.post(
        "/documents",
        json!({ "documents": [words("a", "zamir zamir tolvak"), words("b", "zamir")] }),
    )
    .await?
    .success(200)?;
    // As eight writers at a time leave it, and a document that is gone.
    sql.run(
        "INSERT INTO rappel.term_statistics
         SELECT s.term, n, sign * 3, sign * 5 FROM rappel.term_statistics AS s, generate_series(1, 4) AS n,
                unnest('{1,-1}'::int[]) WITH ORDINALITY AS u (sign, place)
         WHERE n % 2 = place - 1;
         INSERT INTO rappel.term_statistics VALUES ('parti', 1, 0, 0)",
    )
    .await?;
    // Both documents have the first word, however it is stemmed.
    let stripes = "SELECT count(*) FROM rappel.term_statistics WHERE term = (
        SELECT term FROM rappel.term_statistics WHERE term <> '' GROUP BY term ORDER BY sum(chunks) DESC LIMIT 1)";
    assert_eq!(sql.number(stripes, &[]).await?, 5);
    for place in 0..4 {
        app.put(
            &format!("/documents/c{place}"),
            json!({ "content": "zamir", "metadata": { "language": "fr" } }),
        )
        .await?
        .success(201)?;
    }
    assert_eq!(sql.number(stripes, &[]).await?, 1);
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);

    app.invoke("migrate", json!({})).await?;
    let untidy = "SELECT count(*) FROM rappel.term_statistics AS s WHERE s.chunks = 0 OR EXISTS (
        SELECT FROM rappel.term_statistics AS o WHERE o.term = s.term AND o.stripe <> s.stripe)";
    assert_eq!(sql.number(untidy, &[]).await?, 0);
    assert_eq!(sql.number(WRONG_COUNTS, &[]).await?, 0);
    Ok(())
}
