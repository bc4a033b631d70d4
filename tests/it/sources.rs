//! Followed tables: documents match their rows.

mod columns;
mod own_field;

use serde_json::{Value, json};
use tests::{App, Sql, documents_equal, stay_equal};

use crate::Outcome;

/// A user's table.
pub(crate) const ARTICLES: &str = "
    CREATE TABLE articles (
        id bigint PRIMARY KEY,
        title text NOT NULL,
        body text,
        author text,
        status text NOT NULL DEFAULT 'public',
        views integer NOT NULL DEFAULT 0,
        published_at timestamptz NOT NULL DEFAULT '2026-01-02 03:04:05+00'
    );
    INSERT INTO articles (id, title, body, author)
    SELECT i, 'Title ' || i, 'the body of article ' || i, 'ada' FROM generate_series(1, 8) AS i;
";

/// How it is followed.
pub(crate) fn definition() -> Value {
    json!({
        "table": "public.articles",
        "title": "title",
        "content": "body",
        "metadata": ["author", "published_at"],
        "where": "status = 'public'",
    })
}

/// The documents that its rows make.
pub(crate) const DOCUMENTS: &str = "
    SELECT 'articles/' || id, title, body, jsonb_build_object(
        'author', author, 'published_at', to_char(published_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"+00:00\"'))
    FROM articles WHERE status = 'public' AND btrim(coalesce(body, '')) <> ''";

async fn pending(sql: &Sql) -> anyhow::Result<i64> {
    sql.number("SELECT count(*) FROM rappel.source_changes", &[])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_a_table_changes_its_documents() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    let source = app.follow("articles", definition()).await?;
    assert_eq!(source["state"], "walking", "{source}");
    let source = app.synced("articles").await?;
    assert_eq!(source["documents"], 8, "{source}");
    assert_eq!(source["rows"], json!({ "total": 8, "estimated": false }));
    assert_eq!(source["definition"]["id"], json!(["id"]));
    documents_equal(&sql, "articles", DOCUMENTS).await?;

    let changes = [
        "INSERT INTO articles (id, title, body) VALUES (9, 'New', 'a new one'), (10, 'Newer', 'another new one')",
        "UPDATE articles SET title = 'Changed' WHERE id = 1",
        "UPDATE articles SET body = body || '!' WHERE id < 5",
        "UPDATE articles SET author = 'grace' WHERE id = 2",
        "DELETE FROM articles WHERE id IN (3, 4)",
        "UPDATE articles SET status = 'draft' WHERE id = 5",
        "UPDATE articles SET status = 'public' WHERE id = 5",
        "INSERT INTO articles (id, title, body, status) VALUES (11, 'Draft', 'a draft', 'draft')",
        "UPDATE articles SET id = 20 WHERE id = 1",
        // Two rows change places.
        "UPDATE articles SET id = CASE id WHEN 5 THEN 106 ELSE 105 END WHERE id IN (5, 6)",
        "UPDATE articles SET body = NULL WHERE id = 7",
        "UPDATE articles SET body = 'text again' WHERE id = 7",
        "INSERT INTO articles (id, title, body) VALUES (2, 'x', 'x'), (30, 'Upserted', 'an upserted one')
         ON CONFLICT (id) DO UPDATE SET body = 'met a conflict'",
        "BEGIN; UPDATE articles SET title = 'Never'; ROLLBACK",
        "BEGIN; UPDATE articles SET title = 'Once' WHERE id = 8; SAVEPOINT s; DELETE FROM articles; ROLLBACK TO s; COMMIT",
        "BEGIN; DELETE FROM articles WHERE id = 8; INSERT INTO articles (id, title, body) VALUES (8, 'Back', 'back again'); COMMIT",
        "MERGE INTO articles AS a USING (VALUES (8), (40)) AS v (id) ON a.id = v.id
         WHEN MATCHED THEN UPDATE SET body = 'merged' WHEN NOT MATCHED THEN INSERT (id, title, body) VALUES (v.id, 'M', 'new')",
        "CREATE TEMP TABLE more ON COMMIT PRESERVE ROWS AS SELECT * FROM articles LIMIT 3;
         UPDATE more SET id = id + 1000; INSERT INTO articles SELECT * FROM more; DROP TABLE more",
        "SET session_replication_role = replica; UPDATE articles SET body = 'replicated' WHERE id = 30;
         SET session_replication_role = origin",
        "TRUNCATE articles",
        "INSERT INTO articles (id, title, body) VALUES (50, 'After', 'after the truncation')",
    ];
    stay_equal(&app, &sql, ("articles", DOCUMENTS), &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_has_each_key_once_and_none_for_what_no_document_shows() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    app.follow("articles", definition()).await?;
    app.synced("articles").await?;
    assert_eq!(pending(&sql).await?, 0);

    sql.run("UPDATE articles SET views = views + 1").await?;
    sql.run("UPDATE articles SET title = title").await?;
    assert_eq!(pending(&sql).await?, 0, "no followed column has changed");
    for _ in 0..3 {
        sql.run("UPDATE articles SET title = title || '.' WHERE id <= 2")
            .await?;
    }
    assert_eq!(pending(&sql).await?, 2, "each key once");

    // What is pending is found with its age, and gone with it.
    let source = app.source("articles").await?;
    assert_eq!(source["pending"], 2);
    assert!(source["lag_seconds"].as_f64() > Some(0.0), "{source}");
    let source = app.synced("articles").await?;
    assert_eq!(source["lag_seconds"], 0.0, "{source}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_metadata_alone_embeds_nothing_and_a_hit_is_of_the_row() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    app.follow("articles", definition()).await?;
    app.synced("articles").await?;
    let chunks = "SELECT count(*) FROM rappel.chunks AS c WHERE c.xmin::text = $1";
    let before = sql
        .texts(
            "SELECT xmin::text FROM rappel.chunks WHERE document_id = 'articles/4'",
            &[],
        )
        .await?;
    sql.run("UPDATE articles SET author = 'grace' WHERE id = 4")
        .await?;
    app.synced("articles").await?;
    assert!(
        sql.number(chunks, &[&before[0]]).await? > 0,
        "the same chunks"
    );
    let hits = app
        .hits(json!({ "query": "body of article 4", "filter": { "author": "grace" } }))
        .await?;
    assert_eq!(hits[0]["document_id"], "articles/4", "{hits:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_may_be_composite_and_several_sources_may_follow_one_table() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(
        "CREATE TABLE pages (site uuid, path varchar(80), \"Text\" text NOT NULL, lang text, PRIMARY KEY (site, path));
         INSERT INTO pages VALUES
             ('00000000-0000-0000-0000-00000000000a', 'a/b', 'the first page', 'en'),
             ('00000000-0000-0000-0000-00000000000a', '', 'an empty path', 'en'),
             ('00000000-0000-0000-0000-00000000000b', 'a?b', 'la page', 'fr')",
    )
    .await?;
    let pages = |condition: Value| {
        json!({
            "table": "pages", "id": ["site", "path"], "content": "Text", "where": condition,
            "metadata": { "length": "length(\"Text\")", "shout": "upper(lang)" },
        })
    };
    app.follow("pages", pages(Value::Null)).await?;
    app.follow("french", pages(json!("lang = 'fr'"))).await?;
    let expected = |name: &str, condition: &str| {
        format!(
            "SELECT '{name}/' || site || '/' || CASE path WHEN '' THEN '~' ELSE replace(replace(path, '/', '~2F'), '?', '~3F') END,
                    '', \"Text\", jsonb_build_object('length', length(\"Text\"), 'shout', upper(lang))
             FROM pages WHERE {condition}"
        )
    };
    for change in [
        "SELECT",
        "UPDATE pages SET lang = 'fr' WHERE path = ''",
        "UPDATE pages SET path = 'moved', \"Text\" = 'moved there' WHERE path = 'a/b'",
        "DELETE FROM pages WHERE path = 'a?b'",
    ] {
        sql.run(change).await?;
        app.synced("pages").await?;
        app.synced("french").await?;
        documents_equal(&sql, "pages", &expected("pages", "true")).await?;
        documents_equal(&sql, "french", &expected("french", "lang = 'fr'")).await?;
    }
    let hit = "/documents/pages/00000000-0000-0000-0000-00000000000a/~";
    app.get(hit, &[]).await?.success(200)?;

    // One goes with its documents, the other stays.
    app.delete("/sources/pages").await?.success(200)?;
    app.invoke("sync", json!({})).await?;
    app.get("/sources/pages", &[])
        .await?
        .problem(404, "not-found")?;
    documents_equal(&sql, "pages", "SELECT '', '', '', '{}'::jsonb WHERE false").await?;
    sql.run("UPDATE pages SET \"Text\" = 'still followed'")
        .await?;
    app.synced("french").await?;
    documents_equal(&sql, "french", &expected("french", "lang = 'fr'")).await?;
    app.delete("/sources/french?keep=true")
        .await?
        .success(200)?;
    documents_equal(&sql, "french", &expected("french", "lang = 'fr'")).await?;
    let left = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = 'pages'::regclass
        UNION ALL SELECT proname FROM pg_proc WHERE proname LIKE 'source\\_%' AND pronamespace = 'rappel'::regnamespace";
    assert_eq!(sql.texts(left, &[]).await?, Vec::<String>::new());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_followed_whichever_way_they_change() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(
        "CREATE TABLE events (id bigint, at timestamptz, body text, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
         CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
         INSERT INTO events VALUES (1, '2021-05-01', 'first'), (2, '2022-05-01', 'second'), (3, '2022-06-01', 'third')",
    )
    .await?;
    app.follow("events", json!({ "table": "events", "content": "body" }))
        .await?;
    let expected = "SELECT 'events/' || id || '/' || to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS'), '', body,
        '{}'::jsonb FROM events";
    let changes = [
        "SELECT",
        "INSERT INTO events_1 VALUES (4, '2021-07-01', 'into a partition')",
        "SET TimeZone = 'Asia/Tokyo'; UPDATE events SET body = 'from Tokyo' WHERE id = 2; RESET TimeZone",
        "UPDATE events SET at = '2022-08-01' WHERE id = 1",
        "DELETE FROM events_2 WHERE id = 3",
        "CREATE TABLE events_3 (LIKE events); INSERT INTO events_3 VALUES (5, '2023-05-01', 'attached'), (6, '2023-05-02', 'too');
         ALTER TABLE events_3 ADD PRIMARY KEY (id, at);
         ALTER TABLE events ATTACH PARTITION events_3 FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')",
        "UPDATE events_3 SET body = 'changed after' WHERE id = 5",
        "TRUNCATE events_3",
        "ALTER TABLE events DETACH PARTITION events_2",
        "TRUNCATE events",
    ];
    stay_equal(&app, &sql, ("events", expected), &changes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_first_fill_goes_on_where_it_was() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(
        "CREATE TABLE words (word text PRIMARY KEY, body text);
         INSERT INTO words SELECT 'w' || i, NULL FROM generate_series(1, 2500) AS i;
         UPDATE words SET body = 'word ' || word WHERE word LIKE '%00'",
    )
    .await?;
    app.follow("words", json!({ "table": "words", "content": "body" }))
        .await?;
    app.synced("words").await?;
    let expected =
        "SELECT 'words/' || word, '', body, '{}'::jsonb FROM words WHERE body IS NOT NULL";
    documents_equal(&sql, "words", expected).await?;

    // A resync mends what others did to the documents, and embeds nothing else.
    app.delete("/documents/words/w100").await?.success(204)?;
    let source = app.source("words").await?;
    assert_eq!(source["documents"], 24, "{source}");
    app.post("/sources/words/resync", json!({}))
        .await?
        .success(202)?;
    app.synced("words").await?;
    documents_equal(&sql, "words", expected).await
}
