//! Lambda ends a sandbox with SIGTERM.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, ensure};
use serde_json::json;
use tests::App;
use tokio::time::{sleep, timeout};

use super::{HANG, Outcome};

/// Searches that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'rappel-search' AND wait_event_type = 'Lock'";

const CONNECTED: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'rappel-search'";

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_sends_the_last_response_and_closes_the_connection() -> Outcome {
    let app = App::with_own_server().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    app.hits(json!({ "query": "des crêpes" })).await?;
    let pid = *app.sandboxes("search").first().context("a sandbox")?;
    let sql = app.sql().await?;
    // At this level the server logs every client that disconnects without a Terminate message, as this one does.
    sql.run("ALTER SYSTEM SET log_min_messages = 'debug1'")
        .await?;
    sql.run("SELECT pg_reload_conf()").await?;
    let silent = || async {
        let log = app.server_logged().await?;
        anyhow::Ok(log.matches("unexpected EOF").count() + log.matches("could not receive").count())
    };
    let told = async {
        while silent().await? == 0 {
            drop(app.sql().await?);
            sleep(Duration::from_millis(50)).await;
        }
        silent().await
    };
    let before = timeout(HANG, told)
        .await
        .context("the server does not tell")??;

    sql.run("BEGIN; LOCK TABLE rappel.chunks IN ACCESS EXCLUSIVE MODE")
        .await?;
    let search = app.post("/search", json!({ "query": "des crêpes" }));
    let terminate = async {
        while sql.number(WAITING, &[]).await? == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        let status = Command::new("kill")
            .args(["-TERM", &pid.to_string()])
            .status()?;
        ensure!(status.success(), "kill -TERM {pid}: {status}");
        sleep(Duration::from_millis(50)).await;
        sql.run("ROLLBACK").await
    };
    let (answer, terminated) = timeout(HANG, async { tokio::join!(search, terminate) })
        .await
        .context("the last search hangs")?;
    terminated?;
    let hits = answer?.success(200)?;
    assert_eq!(hits["hits"][0]["document_id"], "recette-crepes");

    let exited = format!("process {pid}: its process exited (exit status: 0)");
    let gone = async {
        while !app.logged()?.contains(&exited) {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    timeout(HANG, gone)
        .await
        .with_context(|| format!("the log does not say {exited:?}"))??;
    let left = async {
        while sql.number(CONNECTED, &[]).await? > 0 {
            sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    timeout(HANG, left)
        .await
        .context("the server does not see it leave")??;
    assert_eq!(silent().await?, before, "it left without a word");
    Ok(())
}
