//! More requests than connections, and statements that take too long.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use database::{Database, DatabaseError, Statement, within};
use serde_json::json;
use tests::{App, Sql, eventually};
use tokio::time::timeout;

use super::{HANG, Outcome, echo, failure, problem_word, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_at_its_limit_says_so() -> Outcome {
    let app = App::unmigrated().await?;
    let mut config = settings(app.database_url());
    config.acquire_timeout = Duration::from_millis(500);
    let database = Database::new(&config)?;
    let transaction = database.begin().await?;
    let busy = failure(&database).await?;
    assert!(matches!(busy, DatabaseError::Busy), "{busy}");
    assert_eq!(problem_word(busy), "urn:rappel:problem:database-busy");
    transaction.commit().await?;
    assert_eq!(echo(&database, 1).await?, 1);
    Ok(())
}

/// Statements of functions that the server is working on.
const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'rappel-%' AND state <> 'idle'";

/// A client has the answer a moment before the server calls itself idle.
async fn nobody_works(sql: &Sql) -> Outcome {
    eventually("no statement is at work", async || {
        Ok((sql.number(AT_WORK, &[]).await? == 0).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_search_is_a_504_and_is_cancelled_on_the_server() -> Outcome {
    let limit = [("DATABASE_STATEMENT_TIMEOUT_MS", "700")];
    let variables = limit.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (app, ()) = App::through(async |_| Ok(((), variables.to_vec()))).await?;
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    app.hits(json!({ "query": "des crêpes" })).await?;

    let sql = app.sql().await?;
    sql.run("BEGIN; LOCK TABLE rappel.chunks IN ACCESS EXCLUSIVE MODE")
        .await?;
    let search = app.post("/search", json!({ "query": "des crêpes" }));
    let answer = timeout(HANG, search).await.context("the search hangs")??;
    answer.problem(504, "statement-timeout")?;
    // The lock would keep it at work.
    nobody_works(&sql).await?;
    sql.run("ROLLBACK").await?;
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_near_deadline_ends_a_statement_before_its_usual_limit() -> Outcome {
    let app = App::unmigrated().await?;
    let database = Database::new(&settings(app.database_url()))?;
    echo(&database, 1).await?;
    let start = Instant::now();
    let deadline = start + Duration::from_millis(2_500);
    let sleeping = Statement::read("SELECT 1 FROM pg_sleep(600)");
    let outcome = timeout(
        HANG,
        within(deadline, database.fetch_all::<(i32,)>(sleeping)),
    )
    .await
    .context("the statement hangs")?;
    println!(
        "2.5 s before the deadline: an answer after {:?}",
        start.elapsed()
    );
    assert!(
        matches!(outcome, Err(DatabaseError::StatementTimeout)),
        "{outcome:?}"
    );
    nobody_works(&app.sql().await?).await?;

    // In a transaction too.
    let deadline = Instant::now() + Duration::from_millis(2_500);
    let sleeping = within(deadline, async {
        let mut transaction = database.begin().await?;
        transaction
            .fetch_all::<(i32,)>(Statement::read("SELECT 1 FROM pg_sleep(600)"))
            .await
    });
    let outcome = timeout(HANG, sleeping).await.context("it hangs")?;
    assert!(
        matches!(outcome, Err(DatabaseError::StatementTimeout)),
        "{outcome:?}"
    );
    assert_eq!(echo(&database, 1).await?, 1);
    nobody_works(&app.sql().await?).await?;
    Ok(())
}
