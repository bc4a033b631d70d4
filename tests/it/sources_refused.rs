//! Tables that cannot be followed, and the privileges to follow one.

mod rights;

use anyhow::Context as _;
use serde_json::{Value, json};
use servers::pooler::{PgBouncer, Settings};
use tests::{
    App, Sql, documents_equal,
    logins::{self, login},
};

use crate::{
    Outcome,
    doctor::Report,
    sources::{ARTICLES, DOCUMENTS, definition},
};

/// What is wrong with a definition, the field that is blamed, and what is said of it.
fn wrong() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({ "table": "nothing" }),
            "table",
            "the table public.nothing does not exist",
        ),
        (json!({ "table": "a.b.c" }), "table", "is not a table name"),
        (
            json!({ "table": "articles; DROP TABLE articles" }),
            "table",
            "is not a table name",
        ),
        (
            json!({ "table": "rappel.documents" }),
            "table",
            "own schema",
        ),
        (
            json!({ "table": "pg_class" }),
            "table",
            "the table public.pg_class does not exist",
        ),
        (
            json!({ "table": "pg_catalog.pg_class" }),
            "table",
            "is a system table",
        ),
        (json!({ "table": "seen" }), "table", "is not a table"),
        (json!({ "table": "quick" }), "table", "unlogged"),
        (json!({ "table": "parent" }), "table", "inherit"),
        (json!({ "table": "bare" }), "id", "no primary key"),
        (
            json!({ "table": "keyed", "id": ["b"] }),
            "id",
            "b is double precision",
        ),
        (json!({ "table": "keyed", "id": ["c"] }), "id", "NOT NULL"),
        (
            json!({ "table": "keyed", "id": ["d"] }),
            "id",
            "neither partial",
        ),
        (
            json!({ "table": "computed", "id": ["v"] }),
            "id",
            "must be a primary key",
        ),
        (json!({ "id": ["nobody"] }), "id", "no column nobody"),
        (
            json!({ "content": "nobody" }),
            "content",
            "column \"nobody\" does not exist",
        ),
        (
            json!({ "content": "count(*)" }),
            "content",
            "aggregate functions",
        ),
        (
            json!({ "content": "title) , (body" }),
            "content",
            "syntax error",
        ),
        (
            json!({ "title": "(SELECT body FROM bare)" }),
            "title",
            "also reads bare",
        ),
        (json!({ "where": "status" }), "where", "boolean"),
        (
            json!({ "where": "true) OR (true" }),
            "where",
            "syntax error",
        ),
        (
            json!({ "metadata": { "n": "generate_series(1, 3)" } }),
            "metadata.n",
            "set-returning",
        ),
        (
            json!({ "metadata": { "n": "row_number() OVER ()" } }),
            "metadata.n",
            "window functions",
        ),
        (json!({ "content": "" }), "content", "is empty"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_postgres_is_reported_for_the_field_of_the_source() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    let kept = if sql.is_at_least(18).await? {
        "VIRTUAL"
    } else {
        "STORED"
    };
    sql.run(&format!(
        "CREATE TABLE bare (id int, body text);
         CREATE TABLE keyed (a int, b float8 NOT NULL UNIQUE, c int UNIQUE, d int NOT NULL, body text, PRIMARY KEY (a));
         CREATE UNIQUE INDEX ON keyed (d) WHERE d > 0;
         CREATE TABLE computed (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id + 1) {kept}, body text);
         CREATE VIEW seen AS SELECT * FROM articles;
         CREATE UNLOGGED TABLE quick (id int PRIMARY KEY, body text);
         CREATE TABLE parent (id int PRIMARY KEY, body text); CREATE TABLE child () INHERITS (parent)",
    ))
    .await?;
    let on = |change: Value| {
        let mut definition = json!({ "table": "articles", "content": "body" });
        for (field, value) in change.as_object().into_iter().flatten() {
            definition[field] = value.clone();
        }
        definition
    };
    for (change, field, said) in wrong() {
        let answer = app.put("/sources/wrong", on(change.clone())).await?;
        assert_eq!(answer.refused()?, [field], "{change}: {}", answer.text);
        assert!(
            answer.text.contains(&said.replace('"', "\\\"")),
            "{change}: {}",
            answer.text
        );
    }
    let answer = app.put("/sources/Wrong%20name", on(json!({}))).await?;
    assert_eq!(answer.refused()?, ["name"]);
    for route in ["/sources/nobody", "/sources/nobody/resync"] {
        let answer = if route.ends_with("resync") {
            app.post(route, json!({})).await?
        } else {
            app.delete(route).await?
        };
        answer.problem(404, "not-found")?;
    }
    assert_eq!(
        app.get("/sources", &[]).await?.success(200)?,
        json!({ "sources": [], "next_cursor": null })
    );
    let left = "SELECT count(*) FROM pg_trigger AS t WHERE t.tgname LIKE 'rappel\\_%'";
    assert_eq!(sql.number(left, &[]).await?, 0, "nothing was made");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_expression_calls_changes_nothing() -> Outcome {
    let app = App::start().await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    sql.run(
        "CREATE FUNCTION sly(text) RETURNS text LANGUAGE plpgsql AS
         $$ BEGIN DELETE FROM articles; RETURN $1; END $$",
    )
    .await?;
    app.follow(
        "articles",
        json!({ "table": "articles", "content": "sly(body)" }),
    )
    .await?;
    app.invoke("sync", json!({})).await?;
    let source = app.source("articles").await?;
    let failure = source["failure"].as_str().unwrap_or_default();
    assert!(failure.contains("read-only transaction"), "{source}");
    assert_eq!(sql.number("SELECT count(*) FROM articles", &[]).await?, 8);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_another_role_is_followed_with_the_rights_that_are_named() -> Outcome {
    let id = std::process::id();
    let (served, owner, writer) = (
        format!("sync_{id}"),
        format!("owner_{id}"),
        format!("writer_{id}"),
    );
    let logins = async |url: &str| {
        let environment = logins::served(url, &[&served, &owner, &writer]).await?;
        Ok(((), environment))
    };
    let (app, ()) = App::through(logins).await?;
    app.invoke("migrate", json!({})).await?;
    let sql = app.user_sql().await?;
    sql.run(&format!("CREATE SCHEMA shop AUTHORIZATION {owner}"))
        .await?;
    let seller = Sql::connect(&login(app.database_url(), &owner)?).await?;
    let articles = ARTICLES.replace("articles", "shop.articles");
    seller.run(&articles).await?;
    seller
        .run(&format!(
            "GRANT USAGE ON SCHEMA shop TO {writer}; GRANT ALL ON shop.articles TO {writer}"
        ))
        .await?;
    let mut there = definition();
    there["table"] = json!("shop.articles");

    let answer = app.put("/sources/articles", there.clone()).await?;
    assert_eq!(answer.refused()?, ["table"]);
    for grant in [
        format!("GRANT USAGE ON SCHEMA shop TO {served}"),
        format!("GRANT SELECT ON shop.articles TO {served}"),
        format!("GRANT TRIGGER ON shop.articles TO {served}"),
    ] {
        assert!(answer.text.contains(&grant), "{}", answer.text);
        seller.run(&grant).await?;
    }
    let source = app.follow("articles", there).await?;
    let warning = source["warnings"][0].as_str().unwrap_or_default();
    assert!(warning.contains("ENABLE ALWAYS TRIGGER"), "{source}");

    // Whoever writes needs no right in Rappel's schema.
    let writing = Sql::connect(&login(app.database_url(), &writer)?).await?;
    writing
        .run("SET search_path = ''; UPDATE shop.articles SET body = 'written by another role' WHERE id < 4")
        .await?;
    let source = app.synced("articles").await?;
    assert_eq!(source["skipped"], Value::Null, "{source}");
    let expected = DOCUMENTS.replace("FROM articles", "FROM shop.articles");
    documents_equal(&sql, "articles", &expected).await?;

    // Grants that are revoked are named by doctor.
    let revoked = format!("SELECT ON shop.articles FROM {served}");
    seller.run(&format!("REVOKE {revoked}")).await?;
    let report = Report::of(&login(app.database_url(), &served)?, &[]).await?;
    let said = report.says("sources")?;
    let grant = format!("GRANT SELECT ON shop.articles TO {served}");
    assert!(said.contains(&grant) && !said.contains("USAGE"), "{said}");
    seller.run(&grant).await?;

    // Only the owner may drop the triggers; until then they do nothing.
    let removed = app.delete("/sources/articles").await?.success(200)?;
    let left = removed["left_to_owner"].as_array().context("statements")?;
    assert_eq!(left.len(), 4, "{removed}");
    writing
        .run("UPDATE shop.articles SET body = 'not followed'")
        .await?;
    let noted = "SELECT (SELECT count(*) FROM rappel.source_changes) + (SELECT count(*) FROM rappel.source_events)";
    assert_eq!(sql.number(noted, &[]).await?, 0);
    for statement in left {
        seller.run(statement.as_str().unwrap_or_default()).await?;
    }
    drop((seller, writing));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_followed_through_a_transaction_pooler() -> Outcome {
    let settings = Settings {
        mode: "transaction",
        servers: 3,
        clients: 50,
        certificate: None,
    };
    let reached = App::through(async |url| {
        let pgbouncer = PgBouncer::before(url, &settings).await?;
        let variables = match &pgbouncer {
            Some(pgbouncer) => vec![
                ("DATABASE_URL".to_owned(), pgbouncer.url()?),
                ("DATABASE_POOLER".to_owned(), "transaction".to_owned()),
            ],
            None => Vec::new(),
        };
        Ok((pgbouncer, variables))
    });
    let (app, pgbouncer) = reached.await?;
    if pgbouncer.is_none() {
        return Ok(());
    }
    app.invoke("migrate", json!({})).await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    app.follow("articles", definition()).await?;
    sql.run("UPDATE articles SET body = 'through a pooler' WHERE id = 1; DELETE FROM articles WHERE id = 2")
        .await?;
    app.synced("articles").await?;
    documents_equal(&sql, "articles", DOCUMENTS).await
}
