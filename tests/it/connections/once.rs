//! A statement that is sent again never runs twice at the same time, and reports the outcome of its first attempt.

use std::time::Duration;

use anyhow::Context as _;
use database::{Database, PoolerSetting, Statement};
use futures_util::future::join;
use serde_json::json;
use tests::{
    App, Sql, document_path,
    proxy::{Fault, Proxy, with_port},
};
use tokio::time::{sleep, timeout};

use super::{HANG, LONG_IDLE, Outcome, echo, port, server_port, settings};

/// How often the server works on [`SLOW`] now; what asks for its state from another connection does not count.
const AT_WORK: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'rappel-connections' AND state = 'active'
      AND query LIKE 'SELECT nextval%'";

/// A read that counts itself and takes a while.
const SLOW: &str = "SELECT nextval('runs') FROM pg_sleep(3)";

/// The answer of [`SLOW`]; says when it has come.
async fn slow_read(
    database: &Database,
    told: &tokio::sync::watch::Sender<bool>,
) -> anyhow::Result<Option<(i64,)>> {
    let row = timeout(HANG, database.fetch_optional(Statement::read(SLOW)))
        .await
        .context("the read hangs")??;
    told.send_replace(true);
    Ok(row)
}

/// The largest number of statements that run at the same time, sampled continuously until `told`.
async fn most_at_work(sql: &Sql, told: &tokio::sync::watch::Sender<bool>) -> anyhow::Result<i64> {
    let mut most = 0;
    let mut ended = told.subscribe();
    while !*ended.borrow_and_update() {
        most = most.max(sql.number(AT_WORK, &[]).await?);
        sleep(Duration::from_millis(20)).await;
    }
    Ok(most)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_read_after_an_idle_time_runs_once() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    sql.run("CREATE SEQUENCE runs").await?;
    for pooler in [PoolerSetting::Direct, PoolerSetting::Transaction] {
        let mut config = settings(app.database_url());
        config.pooler = pooler;
        let database = Database::new(&config)?;
        echo(&database, 0).await?;
        sleep(LONG_IDLE).await;
        let told = tokio::sync::watch::Sender::new(false);
        let read = slow_read(&database, &told);
        let (row, most) = join(read, most_at_work(&sql, &told)).await;
        let runs = sql.number("SELECT last_value FROM runs", &[]).await?;
        assert_eq!(row?, Some((runs,)), "the first run is the one that answers");
        assert_eq!(most?, 1, "{pooler}: statements at work at a time");
        sql.run("SELECT setval('runs', 1, false)").await?;
        assert_eq!(runs, 1, "{pooler}");
        database.close().await;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_whose_connection_breaks_is_ended_before_it_is_sent_again() -> Outcome {
    let app = App::unmigrated().await?;
    let sql = app.sql().await?;
    sql.run("CREATE SEQUENCE runs").await?;
    let proxy = Proxy::to(server_port(&app)?).await?;
    let mut config = settings(&with_port(app.database_url(), proxy.port())?);
    config.pooler = PoolerSetting::Direct;
    let database = Database::new(&config)?;
    echo(&database, 0).await?;
    let told = tokio::sync::watch::Sender::new(false);
    let read = slow_read(&database, &told);
    let breaks = async {
        sql.counts(AT_WORK).await?;
        // The server does not notice: it has nothing to say yet.
        proxy.strike(Fault::Reset);
        anyhow::Ok(())
    };
    let watch = async {
        breaks.await?;
        most_at_work(&sql, &told).await
    };
    let (row, most) = join(read, watch).await;
    assert_eq!(row?, Some((1,)), "the first run was ended before its end");
    assert_eq!(most?, 1, "statements at work at a time");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_is_sent_again_is_reported_as_created() -> Outcome {
    for pooler in ["direct", "transaction"] {
        let (app, proxy) = App::through(async |url| {
            let proxy = Proxy::to(port(url)?).await?;
            let variables = vec![
                ("DATABASE_URL".to_owned(), with_port(url, proxy.port())?),
                ("DATABASE_POOLER".to_owned(), pooler.to_owned()),
            ];
            Ok((proxy, variables))
        })
        .await?;
        app.invoke("migrate", json!({})).await?;
        let sql = app.sql().await?;
        let put = async |id: &str, content: &str| {
            app.put(
                &document_path(id),
                json!({ "title": "Plage", "content": content }),
            )
            .await
        };
        put("warm", "La plage ferme à 22 heures.")
            .await?
            .success(201)?;
        // A commit waits for this lock, until its answer is sure to be lost.
        sql.run(
            "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END';
             CREATE CONSTRAINT TRIGGER wait AFTER INSERT OR UPDATE ON rappel.documents
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION wait()",
        )
        .await?;
        for (id, content, expected) in [
            ("new", "La plage ouvre à 8 heures.", "created"),
            ("warm", "La plage ferme à 21 heures.", "updated"),
        ] {
            sql.run("SELECT pg_advisory_lock(7)").await?;
            let answer = async { put(id, content).await };
            let strike = async {
                let waits =
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                     AND wait_event = 'advisory'";
                sql.counts(waits).await?;
                proxy.strike(Fault::LostAnswer);
                sql.run("SELECT pg_advisory_unlock(7)").await
            };
            let (answer, struck) = join(answer, strike).await;
            struck?;
            let answer = answer?;
            let body: serde_json::Value = serde_json::from_str(&answer.text)?;
            assert_eq!(body["status"], expected, "{pooler}, {id}: {body}");
            let stored = app.get(&document_path(id), &[]).await?.success(200)?;
            assert_eq!(stored["content"], content, "{pooler}");
        }
    }
    Ok(())
}
