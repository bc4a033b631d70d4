//! Columns whose values triggers and casts do not show as they are: virtual ones, and keys that are padded or long numbers.

use anyhow::Context as _;
use serde_json::json;
use tests::{App, documents_equal, stay_equal};

use super::pending;
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_virtual_column_changes_with_what_it_is_computed_from() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    if !sql.is_at_least(18).await? {
        return servers::skip::skipped("PostgreSQL 18 is the first with virtual columns");
    }
    sql.run(
        "CREATE TABLE items (
             id int PRIMARY KEY, name text NOT NULL, body text NOT NULL, price int NOT NULL, stock int NOT NULL DEFAULT 0,
             label text GENERATED ALWAYS AS (upper(name)) VIRTUAL,
             cheap boolean GENERATED ALWAYS AS (price < 10) VIRTUAL,
             plain text GENERATED ALWAYS AS (lower(name)) STORED
         );
         INSERT INTO items (id, name, body, price)
         SELECT i, 'Item ' || i, 'the body of item ' || i, i FROM generate_series(1, 4) AS i",
    )
    .await?;
    let definition = json!({
        "table": "items", "title": "label", "content": "body", "metadata": ["cheap", "plain"], "where": "cheap",
    });
    app.follow("items", definition).await?;
    app.synced("items").await?;
    let expected = "SELECT 'items/' || id, label, body, jsonb_build_object('cheap', cheap, 'plain', plain) FROM items WHERE cheap";
    documents_equal(&sql, "items", expected).await?;

    sql.run("UPDATE items SET stock = 7").await?;
    assert_eq!(pending(&sql).await?, 0, "no followed column has changed");
    let changes = [
        "UPDATE items SET name = 'Renamed' WHERE id = 1",
        "UPDATE items SET price = 20 WHERE id IN (2, 3)",
        "UPDATE items SET price = 5 WHERE id = 2",
        "UPDATE items SET id = 9 WHERE id = 4",
        "DELETE FROM items WHERE id = 2",
    ];
    stay_equal(&app, &sql, ("items", expected), &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_fixed_length_are_compared_without_their_padding() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(
        "CREATE DOMAIN part AS char(3);
         CREATE TABLE codes (code char(6), part part, body text NOT NULL, PRIMARY KEY (code, part));
         INSERT INTO codes VALUES
             ('a', 'x', 'the first code'), ('ab', 'x', 'the second code'), ('abcdef', 'xyz', 'the third code')",
    )
    .await?;
    app.follow("codes", json!({ "table": "codes", "content": "body" }))
        .await?;
    let expected =
        "SELECT 'codes/' || code::text || '/' || part::text, '', body, '{}'::jsonb FROM codes";
    let changes = [
        "SELECT",
        "UPDATE codes SET body = 'changed' WHERE code = 'ab'",
        "UPDATE codes SET code = 'abc' WHERE code = 'abcdef'",
        "INSERT INTO codes VALUES ('abcde', 'y', 'the fourth code')",
        "DELETE FROM codes WHERE code = 'a'",
    ];
    stay_equal(&app, &sql, ("codes", expected), &changes).await?;

    // As an earlier build left it: the type's name means one character, and the trigger function misses changes.
    let source = sql
        .number("SELECT id::bigint FROM rappel.sources", &[])
        .await?;
    sql.run(&format!(
        "UPDATE rappel.sources SET key_types = '{{character,character}}';
         CREATE OR REPLACE FUNCTION rappel.source_{source}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
         SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN NULL; END';
         UPDATE codes SET body = 'missed' WHERE code = 'ab'; DELETE FROM codes WHERE code = 'abc'"
    ))
    .await?;
    app.synced("codes").await?;
    documents_equal(&sql, "codes", expected)
        .await
        .context("what was missed is made up for")?;
    sql.run("UPDATE codes SET body = 'noted again' WHERE code = 'ab'")
        .await?;
    assert_eq!(pending(&sql).await?, 1, "the function was made anew");
    app.synced("codes").await?;
    documents_equal(&sql, "codes", expected).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_numbers_keep_all_of_their_digits() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(
        "CREATE TABLE sums (amount numeric(30, 2) PRIMARY KEY, body text NOT NULL);
         INSERT INTO sums VALUES
             (5, 'five'), (5.5, 'five and a half'), (-0.1, 'less than nothing'),
             (1234567890123456789012345678.10, 'a large sum'), (1234567890123456789012345678.11, 'another large sum')",
    )
    .await?;
    app.follow("sums", json!({ "table": "sums", "content": "body" }))
        .await?;
    app.synced("sums").await?;
    let expected = "SELECT 'sums/' || amount, '', body, '{}'::jsonb FROM sums";
    documents_equal(&sql, "sums", expected).await?;
    app.get("/documents/sums/5.00", &[]).await?.success(200)?;

    // As an earlier build stored it.
    app.put("/documents/sums/5.0", json!({ "content": "five" }))
        .await?
        .success(201)?;
    sql.run("UPDATE rappel.source_documents SET document_id = 'sums/5.0' WHERE key = '[5.00]'")
        .await?;
    app.delete("/documents/sums/5.00").await?.success(204)?;
    sql.run("UPDATE sums SET body = body || ', again' WHERE amount >= 5")
        .await?;
    app.synced("sums").await?;
    documents_equal(&sql, "sums", expected).await
}
