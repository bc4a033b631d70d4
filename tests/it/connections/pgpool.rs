//! pgpool-II between the functions and the server.

use std::time::Duration;

use anyhow::Context as _;
use database::{Database, Pooler, PoolerSetting};
use serde_json::json;
use servers::pooler::{Pgpool, PgpoolSettings};
use tests::App;
use tokio::time::sleep;

use super::{Outcome, echo, settings};

/// The shortest time after which pgpool-II ends a silent client, and longer than that.
const IDLE_LIMIT: u32 = 1;
const TOO_LONG: Duration = Duration::from_millis(2_500);

fn with_limit(client_idle_limit: u32) -> PgpoolSettings {
    PgpoolSettings {
        clients: 12,
        client_idle_limit,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_work_through_pgpool_after_it_disconnects_an_idle_client() -> Outcome {
    let reached = App::through(async |url| {
        let pgpool = Pgpool::before(url, with_limit(IDLE_LIMIT)).await?;
        let variables = match &pgpool {
            Some(pgpool) => vec![("DATABASE_URL".to_owned(), pgpool.url()?)],
            None => Vec::new(),
        };
        Ok((pgpool, variables))
    });
    let (app, pgpool) = reached.await?;
    if pgpool.is_none() {
        return Ok(());
    }
    app.invoke("migrate", json!({})).await?;
    app.ingest_samples(&["sante-migraine", "recette-crepes"])
        .await?;
    for _ in 0..3 {
        // Each answer is the right one: a hit, and not an error in between.
        let hits = app
            .hits(json!({ "query": "comment soulager une migraine ?" }))
            .await?;
        assert_eq!(hits[0]["document_id"], "sante-migraine");
        sleep(TOO_LONG).await;
    }
    app.ingest_samples(&["health-migraine"]).await?;
    let documents = "SELECT count(*) FROM rappel.documents";
    assert_eq!(app.sql().await?.number(documents, &[]).await?, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_pgpool_disconnects_reconnects_in_every_mode() -> Outcome {
    let app = App::unmigrated().await?;
    let Some(pgpool) = Pgpool::before(app.database_url(), with_limit(IDLE_LIMIT)).await? else {
        return Ok(());
    };
    for setting in [PoolerSetting::Auto, PoolerSetting::Session] {
        let mut config = settings(&pgpool.url()?);
        config.pooler = setting;
        let database = Database::new(&config)?;
        for n in 0..2 {
            let answer = echo(&database, n).await;
            assert_eq!(answer.with_context(|| format!("{setting}"))?, n);
            sleep(TOO_LONG).await;
        }
        assert_ne!(database.pooler(), Some(Pooler::Direct), "{setting}");
    }
    Ok(())
}
