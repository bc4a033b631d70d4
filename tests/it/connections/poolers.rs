//! `PgBouncer` between the functions and the server.

use anyhow::{Context as _, Result, ensure};
use database::{Cause, Database, Pooler, PoolerSetting, Statement};
use futures_util::future::try_join_all;
use serde_json::json;
use servers::pooler::{PgBouncer, Settings};
use tests::App;

use super::{Outcome, cause, echo, settings};

const CLIENTS: i64 = 50;
const STATEMENTS: i64 = 60;

fn pooler(mode: &'static str, servers: usize) -> Settings {
    Settings {
        mode,
        servers,
        clients: 200,
        certificate: None,
    }
}

/// Statements that differ from client to client, in text, in the number of columns and in their
/// types: an answer to another client's is noticed.
const SHAPES: [&str; 4] = [
    "SELECT $1::bigint * 1000 + $2::bigint, 'a'",
    "SELECT $1::bigint * 1000 + $2::bigint AS sum, 'b' AS letter WHERE $2::bigint >= 0",
    "SELECT n, 'c' FROM (SELECT $1::bigint * 1000 + $2::bigint AS n) AS inner_query",
    "SELECT max(n), 'd' FROM unnest(ARRAY[0, $1::bigint * 1000 + $2::bigint]) AS n",
];

async fn client(url: &str, number: i64) -> Outcome {
    let mut config = settings(url);
    config.pooler = PoolerSetting::Transaction;
    // All of them connect at the same moment, on the cores that serve them.
    config.acquire_timeout = super::HANG;
    let database = Database::new(&config)?;
    for n in 0..STATEMENTS {
        let shape = usize::try_from((number + n) % 4)?;
        let statement = Statement::read(SHAPES[shape]).bind(number).bind(n);
        let row: (i64, String) = database
            .fetch_optional(statement)
            .await?
            .context("every statement has a row")?;
        let letter = ["a", "b", "c", "d"][shape];
        ensure!(
            row == (number * 1000 + n, letter.to_owned()),
            "client {number}, statement {n}: another one's row {row:?}"
        );
    }
    database.close().await;
    Ok(())
}

async fn fifty_clients(app: &App, pgbouncer: &PgBouncer) -> Outcome {
    let url = pgbouncer.url()?;
    try_join_all((0..CLIENTS).map(|number| client(&url, number))).await?;
    let servers = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    let servers = app.sql().await?.number(servers, &[]).await?;
    assert!(servers <= 5, "{servers} server connections");
    println!("{} statements over {servers} servers", CLIENTS * STATEMENTS);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_get_no_error_and_no_wrong_row() -> Outcome {
    let app = App::unmigrated().await?;
    let settings = pooler("transaction", 5);
    match PgBouncer::before(app.database_url(), &settings).await? {
        Some(pgbouncer) => fifty_clients(&app, &pgbouncer).await,
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_clients_get_none_where_the_pooler_tracks_prepared_statements() -> Outcome {
    let app = App::unmigrated().await?;
    let settings = pooler("transaction", 5);
    match PgBouncer::remembering(app.database_url(), &settings).await? {
        Some(pgbouncer) => fifty_clients(&app, &pgbouncer).await,
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_mode_keeps_a_server_with_its_settings() -> Outcome {
    let app = App::unmigrated().await?;
    for pgbouncer in PgBouncer::each(app.database_url(), &pooler("session", 5)).await? {
        let mut config = settings(&pgbouncer.url()?);
        config.pooler = PoolerSetting::Session;
        let database = Database::new(&config)?;
        assert_eq!(database.pooler(), Some(Pooler::Session));
        for n in 0..20 {
            assert_eq!(echo(&database, n).await?, n);
        }
        let limit: Option<(String,)> = database
            .fetch_optional(Statement::read("SHOW statement_timeout"))
            .await?;
        assert_eq!(limit, Some(("10s".to_owned(),)));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_refuses_says_why() -> Outcome {
    let app = App::unmigrated().await?;
    let few = Settings {
        clients: 1,
        ..pooler("transaction", 1)
    };
    for pgbouncer in PgBouncer::each(app.database_url(), &few).await? {
        let url = pgbouncer.url()?;
        let mut config = settings(&url);
        config.pooler = PoolerSetting::Transaction;
        let first = Database::new(&config)?;
        echo(&first, 1).await?;
        let (full, said) = cause(&config).await?;
        assert_eq!(full, Cause::TooManyClients, "{said}");
        first.close().await;

        config.url = url.replace("rappel:", "rappel:not");
        let (wrong, said) = cause(&config).await?;
        assert_eq!(wrong, Cause::Authentication, "{said}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_work_through_a_transaction_pooler() -> Outcome {
    the_product_works(async |url, settings| PgBouncer::before(url, settings).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_work_where_the_pooler_tracks_prepared_statements() -> Outcome {
    the_product_works(async |url, settings| PgBouncer::remembering(url, settings).await).await
}

async fn the_product_works(
    start: impl AsyncFnOnce(&str, &Settings) -> Result<Option<PgBouncer>>,
) -> Outcome {
    let reached = App::through(async |url| {
        let pgbouncer = start(url, &pooler("transaction", 3)).await?;
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
    app.ingest_samples(&["sante-migraine", "recette-crepes"])
        .await?;
    for _ in 0..3 {
        let hits = app
            .hits(json!({ "query": "comment soulager une migraine ?" }))
            .await?;
        assert_eq!(hits[0]["document_id"], "sante-migraine");
    }
    app.delete("/documents/recette-crepes")
        .await?
        .success(204)?;
    let health = app.get("/health", &[("deep", "true")]).await?;
    assert_eq!(health.success(200)?["status"], "ok");
    Ok(())
}
