//! What connections cost, side by side in one run:
//!
//! - the searches of 1,000 sandboxes over 20 server connections, through `PgBouncer` in transaction
//!   mode and in session mode, each search with a known answer;
//! - a cold connect with TLS (`verify-full`) and SCRAM, by Rappel's engine and by the plain driver.
//!
//! `cargo bench -p tests --bench connections`. What a recovery costs is printed by the stories of
//! `it/connections/recovery.rs` with `--nocapture`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use assets::Cache;
use database::{AddressFamily, Database, DatabaseConfig, DatabaseError, PoolerSetting, Statement};
use embedder::Manifest;
use futures_util::future::join_all;
use migrations::{self, IndexConfig};
use retrieval::{SearchConfig, SearchRequest, Visibility};
use servers::{
    pooler::{PgBouncer, Settings},
    postgres::Postgres,
};
use sqlx::Connection as _;
use tests::{Sql, tls::Authority};

const SANDBOXES: usize = 1_000;
const SERVERS: usize = 20;
const SEARCHES_A_SANDBOX: usize = 50;
const DOCUMENTS: usize = 1_000;
const DIMENSIONS: usize = 384;
const CONNECTS: usize = 100;
const MODEL: &str = "bench";

#[tokio::main]
async fn main() -> Result<()> {
    let install = tokio::task::spawn_blocking(|| Cache::from_env()?.postgres()).await??;
    let postgres = Postgres::throwaway(&install).await?;
    let url = postgres.url("bench");
    fill(&postgres).await?;
    for mode in ["transaction", "session"] {
        sandboxes(&url, mode).await?;
    }
    connects(&url).await?;
    postgres.stop().await
}

/// A model that is never loaded.
fn manifest() -> Result<Manifest> {
    let folder = tempfile::tempdir()?;
    let json = format!(
        r#"{{"name": "{MODEL}", "dimensions": {DIMENSIONS}, "pooling": "mean", "query_prefix": "",
            "passage_prefix": "", "max_tokens": 512, "language": "none"}}"#
    );
    std::fs::write(folder.path().join("manifest.json"), json)?;
    Ok(Manifest::read(folder.path())?)
}

/// Documents whose embeddings are known by their number: see [`embedding`].
async fn fill(postgres: &Postgres) -> Result<()> {
    Database::new(&config(postgres.url("postgres"), PoolerSetting::Direct))?
        .create_database("bench")
        .await?;
    let url = postgres.url("bench");
    let manifest = manifest()?;
    let database = Database::new(&config(url.clone(), PoolerSetting::Direct))?;
    migrations::migrate(&database, &manifest).await?;
    migrations::build_index(&database, &IndexConfig::default()).await?;
    Sql::connect(&url)
        .await?
        .run(&format!(
            "INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
             SELECT 'd' || i, '', 'x', '{{}}', '' FROM generate_series(0, {DOCUMENTS} - 1) AS i;
             INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
             SELECT 'd' || i, 0, 0, 'x', (
                 SELECT array_agg(sin((i + 1) * (j + 1) * 0.37)::real ORDER BY j)
                 FROM generate_series(0, {DIMENSIONS} - 1) AS j
             )::halfvec
             FROM generate_series(0, {DOCUMENTS} - 1) AS i;
             ANALYZE rappel.chunks"
        ))
        .await
}

/// The embedding of a document, as [`fill`] computes it in SQL.
fn embedding(document: usize) -> Vec<f32> {
    let angle = |dimension: usize| ((document + 1) * (dimension + 1)) as f64 * 0.37;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "embeddings are single precision"
    )]
    (0..DIMENSIONS)
        .map(|dimension| angle(dimension).sin() as f32)
        .collect()
}

/// What became of one sandbox's searches.
#[derive(Default)]
struct Tally {
    right: usize,
    wrong: usize,
    failures: Vec<String>,
    times: Vec<f64>,
}

#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn sandboxes(url: &str, mode: &'static str) -> Result<()> {
    let settings = Settings {
        mode,
        servers: SERVERS,
        clients: 2 * SANDBOXES,
        certificate: None,
    };
    let Some(pgbouncer) = PgBouncer::before(url, &settings).await? else {
        return Ok(());
    };
    let config = Arc::new(config(pgbouncer.url()?, mode.parse()?));
    let start = Instant::now();
    let tasks = (0..SANDBOXES).map(|sandbox| {
        let config = Arc::clone(&config);
        tokio::spawn(async move { sandbox_searches(&config, sandbox).await })
    });
    let mut all = Tally::default();
    for tally in join_all(tasks).await {
        let tally = tally.context("a sandbox panicked")??;
        all.right += tally.right;
        all.wrong += tally.wrong;
        all.failures.extend(tally.failures);
        all.times.extend(tally.times);
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "{SANDBOXES} sandboxes over {SERVERS} servers, {mode} mode: {} right, {} wrong, {} failed of {} searches in \
         {took:.1} s; {}",
        all.right,
        all.wrong,
        all.failures.len(),
        SANDBOXES * SEARCHES_A_SANDBOX,
        percentiles(&mut all.times),
    );
    if let Some(failure) = all.failures.first() {
        println!("  the first failure: {failure}");
    }
    Ok(())
}

/// A sandbox that meets a failure ends: it would only meet the same again.
async fn sandbox_searches(config: &DatabaseConfig, sandbox: usize) -> Result<Tally> {
    let database = Database::new(config)?;
    let mut tally = Tally::default();
    for n in 0..SEARCHES_A_SANDBOX {
        let document = (sandbox * 7 + n * 13) % DOCUMENTS;
        let start = Instant::now();
        match nearest(&database, document).await {
            Ok(Some(found)) if found == format!("d{document}") => tally.right += 1,
            Ok(_) => tally.wrong += 1,
            Err(error) => {
                tally.failures = vec![error.to_string(); SEARCHES_A_SANDBOX - n];
                break;
            }
        }
        tally.times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    database.close().await;
    Ok(tally)
}

async fn nearest(database: &Database, document: usize) -> Result<Option<String>, DatabaseError> {
    let manifest = manifest().expect("a temporary folder is writable");
    let request = SearchRequest {
        query: "x".to_owned(),
        limit: Some(1),
        mode: Some("semantic".to_owned()),
        ..SearchRequest::default()
    };
    let config = SearchConfig {
        effort: Some(100),
        ..SearchConfig::default()
    };
    let search = request.parse().expect("the request is within all limits");
    let hits = search
        .find(
            database,
            &Visibility::default(),
            &manifest,
            embedding(document),
            &config,
        )
        .await?;
    Ok(hits.into_iter().next().map(|hit| hit.document_id))
}

/// Connects one after the other, the two in turn, so that the machine's moods fall on both.
#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn connects(url: &str) -> Result<()> {
    let authority = Authority::new()?;
    let settings = Settings {
        mode: "session",
        servers: SERVERS,
        clients: 100,
        certificate: Some(authority.vouch("localhost")?),
    };
    let Some(pgbouncer) = PgBouncer::before(url, &settings).await? else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root.pem");
    std::fs::write(&root, &authority.certificate)?;
    let host = pgbouncer.url()?.replace("127.0.0.1", "localhost");
    let url = format!("{host}?sslmode=verify-full&sslrootcert={}", root.display());
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTS {
        let start = Instant::now();
        let database = Database::new(&config(url.clone(), PoolerSetting::Session))?;
        let one: Option<(i32,)> = database.fetch_optional(Statement::read("SELECT 1")).await?;
        ours.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(one == Some((1,)), "SELECT 1 is 1");
        database.close().await;

        let start = Instant::now();
        let options: sqlx::postgres::PgConnectOptions = url.parse()?;
        let mut connection =
            sqlx::PgConnection::connect_with(&options.extra_float_digits(None)).await?;
        let one: (i32,) = sqlx::query_as("SELECT 1")
            .fetch_one(&mut connection)
            .await?;
        plain.push(start.elapsed().as_secs_f64() * 1e3);
        ensure!(one == (1,), "SELECT 1 is 1");
        connection.close().await?;
    }
    println!("{CONNECTS} cold connects with TLS verify-full, SCRAM and a first statement:");
    println!("  Rappel's engine  {}", percentiles(&mut ours));
    println!("  plain sqlx       {}", percentiles(&mut plain));
    Ok(())
}

fn config(url: String, pooler: PoolerSetting) -> DatabaseConfig {
    DatabaseConfig {
        url,
        credentials: None,
        pooler,
        address_family: AddressFamily::Auto,
        application_name: "rappel-bench".to_owned(),
        connections: 1,
        // A thousand clients connect at the same moment here, on the cores that serve them.
        acquire_timeout: Duration::from_secs(30),
        wake_timeout: Duration::ZERO,
        statement_timeout: Duration::from_secs(30),
        settings: &[],
    }
}

fn percentiles(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length is an index"
        )]
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or(f64::NAN)
    };
    format!("p50 {:.1} ms, p99 {:.1} ms", at(0.5), at(0.99))
}
