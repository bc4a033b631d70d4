//! Privileges that a source loses, and sessions in which the trigger function runs as a login with few of them.

use serde_json::{Value, json};
use tests::{App, documents_equal, logins};

use crate::{
    Outcome,
    sources::{ARTICLES, DOCUMENTS, definition},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_must_not_be_used_any_more_stops_its_own_source_alone() -> Outcome {
    let served = format!("shut_out_{}", std::process::id());
    let logins = async |url: &str| Ok(((), logins::served(url, &[&served]).await?));
    let (app, ()) = App::through(logins).await?;
    app.invoke("migrate", json!({})).await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    sql.run(&format!(
        "CREATE SCHEMA shop; CREATE TABLE shop.notes (id int PRIMARY KEY, note text NOT NULL);
         INSERT INTO shop.notes VALUES (1, 'a note'), (2, 'a second note');
         GRANT USAGE ON SCHEMA shop TO {served}; GRANT SELECT, TRIGGER ON articles, shop.notes TO {served}"
    ))
    .await?;
    app.follow("notes", json!({ "table": "shop.notes", "content": "note" }))
        .await?;
    app.follow("articles", definition()).await?;
    app.synced("notes").await?;
    app.synced("articles").await?;

    sql.run(&format!(
        "REVOKE USAGE ON SCHEMA shop FROM {served};
         UPDATE shop.notes SET note = 'changed meanwhile' WHERE id = 1; UPDATE articles SET body = 'goes on' WHERE id = 1"
    ))
    .await?;
    app.synced("articles").await?;
    documents_equal(&sql, "articles", DOCUMENTS).await?;
    let source = app.source("notes").await?;
    assert_eq!(source["state"], "failed", "{source}");
    let grant = format!("GRANT USAGE ON SCHEMA shop TO {served}");
    let failure = source["failure"].as_str().unwrap_or_default();
    assert!(failure.contains(&grant), "{source}");

    sql.run(&grant).await?;
    let source = app.synced("notes").await?;
    assert_eq!(source["state"], "following", "{source}");
    let notes = "SELECT 'notes/' || id, '', note, '{}'::jsonb FROM shop.notes";
    documents_equal(&sql, "notes", notes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_switches_row_security_off_as_restores_do_is_followed() -> Outcome {
    let id = std::process::id();
    // The tables' owner is no superuser, so that the policies of Rappel's tables bind it.
    let (served, owner) = (format!("restored_{id}"), format!("restorer_{id}"));
    let logins = async |url: &str| {
        let environment = logins::served_and_owned(url, &served, &owner).await?;
        Ok(((), environment))
    };
    let (app, ()) = App::through(logins).await?;
    app.invoke("migrate", json!({})).await?;
    let sql = app.user_sql().await?;
    sql.run(ARTICLES).await?;
    sql.run(&format!("GRANT SELECT, TRIGGER ON articles TO {served}"))
        .await?;
    app.follow("articles", definition()).await?;
    app.synced("articles").await?;

    let source = sql
        .number("SELECT id::bigint FROM rappel.sources", &[])
        .await?;
    let made = format!("ALTER FUNCTION rappel.source_{source}() RESET row_security");
    // The second time after a run that found the function of an earlier build.
    for (before, body) in [("SELECT", "restored"), (made.as_str(), "restored again")] {
        sql.run(before).await?;
        app.synced("articles").await?;
        sql.run(&format!(
            "SET row_security = off; UPDATE articles SET body = '{body}' WHERE id = 2; RESET row_security"
        ))
        .await?;
        let source = app.synced("articles").await?;
        assert_eq!(source["skipped"], Value::Null, "{source}");
        documents_equal(&sql, "articles", DOCUMENTS).await?;
    }
    Ok(())
}
