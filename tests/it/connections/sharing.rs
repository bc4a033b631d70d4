//! Clients that share server connections without Rappel being configured for it.

use std::time::Instant;

use anyhow::ensure;
use database::{Database, PoolerSetting, Statement};
use futures_util::future::try_join_all;
use serde_json::json;
use servers::pooler::PgBouncer;
use tests::{App, Sql, document_path, proxy::with_port, sharing::SharingPooler};

use super::{Outcome, proof::transaction_mode, server_port, settings};

/// Server connections, and the clients that share them.
const SERVERS: usize = 3;
const CLIENTS: i64 = 24;

/// Statements of a client, a multiple of the four kinds: 50,000 of all through two poolers.
const STATEMENTS: i64 = 1_052;

/// Rows that each client has, and nobody deletes.
const ROWS: i64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_pooler_that_drops_startup_options_do_not_run_each_others_statements()
-> Outcome {
    let app = App::unmigrated().await?;
    let pgbouncers = PgBouncer::dropping_options(app.database_url(), &transaction_mode()).await?;
    // Of those there are, the first version does not keep its clients' named statements apart.
    match pgbouncers.first() {
        Some(pgbouncer) => mixed(&app, &pgbouncer.url()?, &[PoolerSetting::Auto], STATEMENTS).await,
        None => Ok(()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_pooler_that_lets_everything_pass_do_not_run_each_others_statements() -> Outcome
{
    let app = App::unmigrated().await?;
    let pooler = SharingPooler::before(server_port(&app)?, SERVERS).await?;
    let url = with_port(app.database_url(), pooler.port())?;
    mixed(&app, &url, &[PoolerSetting::Auto], STATEMENTS).await
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_stay_separate_whatever_pooler_mode_is_configured() -> Outcome {
    let app = App::unmigrated().await?;
    let pgbouncers = PgBouncer::dropping_options(app.database_url(), &transaction_mode()).await?;
    let Some(pgbouncer) = pgbouncers.first() else {
        return Ok(());
    };
    // It is not in session mode, whatever the setting says.
    let said = [PoolerSetting::Session, PoolerSetting::Transaction];
    mixed(&app, &pgbouncer.url()?, &said, 200).await
}

/// Many clients at a time, each with statements whose answers and effects are known: an answer to
/// another client's, or an effect of it, is noticed.
async fn mixed(app: &App, url: &str, said: &[PoolerSetting], statements: i64) -> Outcome {
    let sql = app.sql().await?;
    sql.run(
        "CREATE TABLE kept (client bigint, n bigint, PRIMARY KEY (client, n));
         CREATE TABLE counted (client bigint PRIMARY KEY, n bigint)",
    )
    .await?;
    sql.run(&format!(
        "INSERT INTO kept SELECT c, n FROM generate_series(0, {}) AS c, generate_series(1, {ROWS}) AS n",
        CLIENTS - 1
    ))
    .await?;
    let start = Instant::now();
    let clients = (0..CLIENTS).zip(said.iter().cycle());
    let clients = clients.map(|(number, setting)| client(url, *setting, number, statements));
    try_join_all(clients.collect::<Vec<_>>()).await?;
    println!(
        "{} statements of {CLIENTS} clients over {SERVERS} servers in {:?}",
        CLIENTS * statements,
        start.elapsed()
    );
    let kept = sql.number("SELECT count(*) FROM kept", &[]).await?;
    assert_eq!(kept, CLIENTS * ROWS, "rows that nobody deleted");
    let counted = "SELECT count(*) FROM counted WHERE n = $1";
    let last = statements - 1;
    assert_eq!(sql.number(counted, &[&(last - last % 4)]).await?, CLIENTS);
    shares_statements(url).await
}

/// That the pooler at `url` gives one client's statements to another: else nothing is tested.
async fn shares_statements(url: &str) -> Outcome {
    let mut connections = Vec::new();
    for _ in 0..=SERVERS {
        connections.push(Sql::connect(url).await?);
    }
    connections[0].run("PREPARE somebodys AS SELECT 1").await?;
    let mut met = 0;
    for other in &connections[1..] {
        other.run("BEGIN").await?;
    }
    for other in &connections[1..] {
        // A simple query: nothing of this test's own is prepared.
        if other.run("EXECUTE somebodys").await.is_ok() {
            met += 1;
            other.run("DEALLOCATE somebodys").await?;
        }
        other.run("ROLLBACK").await?;
    }
    ensure!(
        met == 1,
        "{met} of {SERVERS} clients met the statement of another one"
    );
    Ok(())
}

/// Runs reads, deletions of what is not there, and upserts, each kind in every round.
async fn client(url: &str, setting: PoolerSetting, number: i64, statements: i64) -> Outcome {
    let mut config = settings(url);
    config.pooler = setting;
    // All of them want a connection at the same moment, on the cores that serve them.
    config.acquire_timeout = super::HANG;
    let database = Database::new(&config)?;
    for n in 0..statements {
        let (kind, key) = ((number + n) % 4, 1 + n % ROWS);
        let one = match kind {
            0 => Statement::read("SELECT $1::bigint * 1000000 + $2::bigint"),
            1 => Statement::read(
                "SELECT client * 1000000 + n FROM kept WHERE client = $1::bigint AND n = $2::bigint",
            ),
            2 => Statement::write(
                "DELETE FROM kept WHERE client = -1 - $1::bigint AND n = $2::bigint RETURNING n",
            ),
            _ => Statement::idempotent_write(
                "INSERT INTO counted VALUES ($1::bigint, $2::bigint)
                 ON CONFLICT (client) DO UPDATE SET n = excluded.n RETURNING client * 1000000 + n",
            ),
        };
        let value = match kind {
            0 | 3 => n,
            _ => key,
        };
        // The last upsert of every client leaves the same number, whatever its first kind was.
        let value = if kind == 3 { n - n % 4 } else { value };
        let rows: Vec<(i64,)> = database.fetch_all(one.bind(number).bind(value)).await?;
        let expected = match kind {
            2 => vec![],
            _ => vec![(number * 1_000_000 + value,)],
        };
        ensure!(
            rows == expected,
            "client {number}, statement {n}: {rows:?} instead of {expected:?}"
        );
    }
    database.close().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_kept_behind_an_undeclared_pooler() -> Outcome {
    let reached = App::through(async |url| {
        let pgbouncers = PgBouncer::dropping_options(url, &transaction_mode()).await?;
        let pgbouncer = pgbouncers.into_iter().next();
        let variables = match &pgbouncer {
            Some(pgbouncer) => vec![("DATABASE_URL".to_owned(), pgbouncer.url()?)],
            None => Vec::new(),
        };
        Ok((pgbouncer, variables))
    });
    let (app, pgbouncer) = reached.await?;
    if pgbouncer.is_none() {
        return Ok(());
    }
    app.invoke("migrate", json!({})).await?;
    let stored = ["sante-migraine", "recette-crepes", "health-migraine"];
    app.ingest_samples(&stored).await?;
    let round = async |n: i64| {
        let id = stored[usize::try_from(n % 3)?];
        let found = app.get(&document_path(id), &[]).await?.success(200)?;
        ensure!(found["id"] == id, "asked for {id}: {found}");
        app.delete(&document_path(&format!("nobody-{n}")))
            .await?
            .problem(404, "not-found")?;
        let question = json!({ "query": "comment soulager une migraine ?", "limit": 1 });
        let hits = app.hits(question).await?;
        ensure!(hits[0]["document_id"] == "sante-migraine", "{hits:?}");
        Ok(())
    };
    try_join_all((0..60).map(round)).await?;
    let documents = "SELECT count(*) FROM rappel.documents";
    assert_eq!(app.sql().await?.number(documents, &[]).await?, 3);
    let health = app.get("/health", &[("deep", "true")]).await?;
    let health = health.success(200)?;
    assert_eq!(health["connection"]["pooler"], "transaction", "{health}");
    assert_eq!(health["connection"]["proof"], "disproved", "{health}");
    let logged = app.logged()?;
    assert!(
        logged.contains("the startup options do not reach the server process"),
        "the log says it"
    );
    Ok(())
}
