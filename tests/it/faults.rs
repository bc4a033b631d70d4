//! Servers and sandboxes that are killed.
//!
//! The time limits here tell an answer from a hang; they measure nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use futures_util::future::join_all;
use serde_json::json;
use tests::{App, cpu_time, document_path, eventually, kill};
use tokio::time::{sleep, timeout};

use crate::Outcome;

/// Ticks of a processor after which a function is in the middle of embedding, and not at its beginning.
const EMBEDDING: u64 = 20;

/// A search whose database is away gives up after three seconds at most; longer than this it hangs.
const HANG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_search_fails_fast_while_postgres_is_dead_and_works_at_once_when_it_is_back() -> Outcome {
    let app = App::with_own_server().await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let search = || {
        app.post(
            "/search",
            json!({ "query": "comment soulager une migraine ?" }),
        )
    };
    search().await?.success(200)?;

    app.kill_postgres().await?;
    // The first request meets the broken connection, the second has none to begin with.
    for _ in 0..2 {
        let answer = timeout(HANG, search())
            .await
            .context("a search without a database hangs")??;
        answer.problem(503, "database-refused")?;
        assert_eq!(answer.header("retry-after"), Some("1"));
    }

    app.restart_postgres().await?;
    let body = search().await?.success(200)?;
    assert_eq!(body["hits"][0]["document_id"], "sante-migraine");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_between_two_requests_is_not_noticed() -> Outcome {
    let app = App::with_own_server().await?;
    app.ingest_samples(&["sante-migraine"]).await?;
    let search = || {
        app.post(
            "/search",
            json!({ "query": "comment soulager une migraine ?" }),
        )
    };
    search().await?.success(200)?;
    app.get("/documents", &[]).await?.success(200)?;

    app.kill_postgres().await?;
    app.restart_postgres().await?;
    search().await?.success(200)?;
    app.get("/documents", &[]).await?.success(200)?;
    app.ingest_samples(&["health-migraine"]).await?;
    Ok(())
}

/// More than enough for forty small documents and the failure that follows.
const WRITERS: Duration = Duration::from_mins(2);

/// Puts documents one after the other until one is not acknowledged; answers those that were.
async fn write_until_failure(app: &App, writer: usize) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for n in 0.. {
        let id = format!("{writer}-{n}");
        let body = json!({ "content": format!("Le rédacteur {writer} écrit sa page {n}.") });
        match app.put(&document_path(&id), body).await {
            Ok(answer) if answer.status == 201 => acknowledged.push(id),
            _ => break,
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_document_survives_a_kill_of_the_server() -> Outcome {
    let app = App::with_own_server().await?;
    let sql = app.sql().await?;
    let kill = async {
        // Killing an idle server would prove nothing: all writers are at work by then.
        while sql
            .number("SELECT count(*) FROM rappel.documents", &[])
            .await?
            < 40
        {
            sleep(Duration::from_millis(20)).await;
        }
        app.kill_postgres().await
    };
    let writers = join_all((0..4).map(|writer| write_until_failure(&app, writer)));
    let (acknowledged, killed) = timeout(WRITERS, async { tokio::join!(writers, kill) })
        .await
        .context("the writers never failed")?;
    killed?;
    let acknowledged = acknowledged.concat();
    ensure!(
        acknowledged.len() >= 36,
        "only {} were acknowledged",
        acknowledged.len()
    );

    app.restart_postgres().await?;
    let sql = app.sql().await?;
    let stored = "SELECT count(*) FROM rappel.documents WHERE id = ANY ($1)";
    assert_eq!(
        sql.number(stored, &[&acknowledged]).await?,
        i64::try_from(acknowledged.len())?
    );
    let halves = "SELECT count(*) FROM rappel.documents AS d
        WHERE NOT EXISTS (SELECT FROM rappel.chunks AS c WHERE c.document_id = d.id)";
    assert_eq!(
        sql.number(halves, &[]).await?,
        0,
        "no document is without its chunks"
    );
    let last = acknowledged.last().context("some were acknowledged")?;
    app.get(&document_path(last), &[]).await?.success(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_killed_in_the_middle_of_a_request_is_replaced() -> Outcome {
    let app = App::start_with(1).await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    let before = app.sandboxes("ingest");
    assert_eq!(before.len(), 1);

    // Long enough to be at work still when the sandbox is killed.
    let content = "Une phrase que le modèle doit lire en entier. ".repeat(4_000);
    let request = app.put("/documents/roman", json!({ "content": content }));
    let idle = cpu_time(before[0])?;
    let kill = async {
        eventually("the sandbox is at work", async || {
            Ok((cpu_time(before[0])? > idle + EMBEDDING).then_some(()))
        })
        .await?;
        kill(before[0])
    };
    let (answer, killed) = tokio::join!(request, kill);
    killed?;
    let answer = answer.context("a request whose sandbox died is answered")?;
    assert!(
        (500..600).contains(&answer.status),
        "{}: {}",
        answer.status,
        answer.text
    );

    app.ingest_samples(&["recette-ratatouille"]).await?;
    let after = app.sandboxes("ingest");
    assert_eq!(after.len(), 1);
    assert_ne!(before, after);
    app.get("/documents/roman", &[])
        .await?
        .problem(404, "not-found")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_sandbox_that_was_killed_costs_no_request() -> Outcome {
    let app = App::start_with(1).await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    app.hits(json!({ "query": "des crêpes" })).await?;
    for pid in app.sandboxes("search") {
        kill(pid)?;
    }
    // The gateway learns of the death from the closed connection, which takes a moment.
    let gone = async {
        while !app.sandboxes("search").is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HANG, gone)
        .await
        .context("the gateway forgets a sandbox that died")?;
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 1);
    Ok(())
}
