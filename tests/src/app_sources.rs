//! Tables that the product follows, and the run of its worker.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{App, Sql, eventually};

impl App {
    /// Follows a table and answers the source.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn follow(&self, name: &str, definition: Value) -> Result<Value> {
        let answer = self.put(&format!("/sources/{name}"), definition).await?;
        let status = if answer.status == 200 { 200 } else { 201 };
        answer.success(status)
    }

    /// A connection as a user has it, whose tables are in the schema `public`: the tests' login has the name of Rappel's schema.
    ///
    /// # Errors
    /// When the server is away.
    pub async fn user_sql(&self) -> Result<Sql> {
        let sql = self.sql().await?;
        sql.run("SET search_path = public").await?;
        Ok(sql)
    }

    /// The state of a source.
    ///
    /// # Errors
    /// When there is none.
    pub async fn source(&self, name: &str) -> Result<Value> {
        self.get(&format!("/sources/{name}"), &[])
            .await?
            .success(200)
    }

    /// Runs the worker until nothing of a source is pending but rows that failed, and answers its state.
    ///
    /// # Errors
    /// When the worker fails, or it takes too long.
    pub async fn synced(&self, name: &str) -> Result<Value> {
        eventually("the source is idle", async || {
            self.invoke("sync", json!({})).await?;
            let source = self.source(name).await?;
            let idle = source["pending"] == source["failed"]
                && (source["state"] == "following" || source["state"] == "failed");
            Ok(idle.then_some(source))
        })
        .await
    }
}

/// Makes changes one after the other, and fails unless the documents of the source `name` are the rows of `query` after each,
/// as by [`documents_equal`], and no row has failed.
///
/// # Errors
/// Names the change.
pub async fn stay_equal(
    app: &App,
    sql: &Sql,
    (name, query): (&str, &str),
    changes: &[&str],
) -> Result<()> {
    for change in changes {
        sql.run(change).await?;
        let source = app.synced(name).await?;
        ensure!(source["failed"] == 0, "{change}: {source}");
        ensure!(source["state"] == "following", "{change}: {source}");
        documents_equal(sql, name, query)
            .await
            .with_context(|| (*change).to_owned())?;
    }
    Ok(())
}

/// Fails unless the documents of the source `name` are just the rows of `query`, whose columns are id, title, content and
/// metadata, and each has its passage: they are short.
///
/// # Errors
/// Names some that are different.
pub async fn documents_equal(sql: &Sql, name: &str, query: &str) -> Result<()> {
    rows_equal(sql, name, query).await?;
    let bare = format!(
        "SELECT d.id::text FROM rappel.documents AS d WHERE d.id LIKE '{name}/%' AND NOT EXISTS (
             SELECT FROM rappel.chunks AS c WHERE c.document_id = d.id AND c.content = d.content)"
    );
    let bare = sql.texts(&bare, &[]).await?;
    ensure!(bare.is_empty(), "documents with another passage: {bare:#?}");
    Ok(())
}

/// The same without a look at the passages.
///
/// # Errors
/// Names some that are different.
pub async fn rows_equal(sql: &Sql, name: &str, query: &str) -> Result<()> {
    let documents = format!(
        "SELECT d.id::text, d.title, d.content, d.metadata FROM rappel.documents AS d WHERE d.id LIKE '{name}/%'"
    );
    for (what, one, other) in [
        ("rows without their document", query, documents.as_str()),
        ("documents without their row", documents.as_str(), query),
    ] {
        let different = format!("SELECT x::text FROM (({one}) EXCEPT ({other})) AS x LIMIT 5");
        let found = sql.texts(&different, &[]).await?;
        ensure!(found.is_empty(), "{what}: {found:#?}");
    }
    Ok(())
}
