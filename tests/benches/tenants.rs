//! What a search takes in SQL for tenants of three sizes in one database, and how much of the nearest it finds: 10,000 of 30
//! documents, 100 of 3,000 and one of 100,000 where `TENANTS_SCALE` is 1, and fewer tenants where it is less.
//!
//! `TENANTS_SCALE=0.1 cargo bench -p tests --bench tenants`: some minutes, and about 4 GB at scale 1.

use std::{fs, time::Instant};

use anyhow::{Context as _, Result};
use assets::Cache;
use database::{Database, Statement};
use embedder::Manifest;
use migrations::IndexConfig;
use servers::postgres::Postgres;
use tests::{Sql, direct};

const MODEL: &str = "bench";
const SEARCHES: usize = 200;

/// A class of tenants: its name, how many there are at scale 1, and the documents of each.
const CLASSES: [(&str, f64, u32); 3] = [
    ("small", 10_000.0, 30),
    ("middle", 100.0, 3_000),
    ("large", 1.0, 100_000),
];

/// The rows of `places (tenant, n, centre)`: mixed as if documents had come one by one, their embeddings around 200 centres,
/// their words from rare to common.
const FILL: &str = "
    SET synchronous_commit = off;
    CREATE FUNCTION noise(seed bigint) RETURNS vector LANGUAGE sql VOLATILE AS $$
        SELECT array_agg((random() - 0.5)::real)::vector FROM generate_series(1, 384) AS d WHERE d + seed > 0
    $$;
    CREATE TABLE centres AS SELECT n, noise(n) AS v FROM generate_series(1, 200) AS n;
    INSERT INTO rappel.documents (tenant, id, title, content, metadata, content_hash)
    SELECT tenant, 'd' || n, 't', 'text ' || n, '{}', '' FROM places;
    INSERT INTO rappel.chunks (tenant, document_id, ordinal, start, content, embedding)
    SELECT p.tenant, 'd' || p.n, 0, 0, repeat('text ', 100), l2_normalize(c.v + noise(p.n))::halfvec
    FROM places AS p JOIN centres AS c ON c.n = p.centre;
    INSERT INTO rappel.chunk_terms (tenant, document_id, ordinal, length, terms, frequencies)
    SELECT p.tenant, 'd' || p.n, 0, 60, t.terms, array_fill(1::smallint, ARRAY[cardinality(t.terms)])
    FROM places AS p, LATERAL (
        SELECT array_agg(DISTINCT 'w' || (power(random(), 3) * 3000)::integer) AS terms
        FROM generate_series(1, 40) AS g WHERE g + p.n > 0
    ) AS t";

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn main() -> Result<()> {
    let scale = tests::number("TENANTS_SCALE", 0.1)?;
    let install = tokio::task::spawn_blocking(|| Cache::from_env()?.postgres()).await??;
    let postgres = Postgres::throwaway(&install).await?;
    let database = filled(&postgres, scale).await?;
    println!("tenants, documents of each, mode; p50 and p95 in ms of SQL; recall@10");
    for (name, tenants, documents) in CLASSES {
        let tenants = number(tenants * scale);
        for mode in ["hybrid", "keyword", "semantic"] {
            let mut times = Vec::with_capacity(SEARCHES);
            let (mut found, mut nearest) = (0, 0);
            for round in 0..SEARCHES {
                let tenant = format!("{name}{}", 1 + round * 7_919 % tenants);
                let question = question(&database).await?;
                let start = Instant::now();
                let hits = search(&database, &tenant, mode, question.clone()).await?;
                times.push(start.elapsed().as_secs_f64() * 1e3);
                if mode == "semantic" {
                    let exact = exact(&database, &tenant, question).await?;
                    found += exact.iter().filter(|id| hits.contains(id)).count();
                    nearest += exact.len();
                }
            }
            times.sort_by(f64::total_cmp);
            let recall = match mode {
                "semantic" => format!("{:.3}", found as f64 / nearest as f64),
                _ => String::new(),
            };
            let (median, late) = (times[SEARCHES / 2], times[SEARCHES * 95 / 100]);
            println!("{tenants:6} {documents:7}  {mode:8} {median:7.1} {late:7.1}  {recall}");
        }
    }
    database.close().await;
    postgres.stop().await
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a positive number of tenants"
)]
fn number(tenants: f64) -> usize {
    tenants.round().max(1.0) as usize
}

async fn filled(postgres: &Postgres, scale: f64) -> Result<Database> {
    Database::new(&direct(postgres.url("postgres")))?
        .create_database("bench")
        .await?;
    let database = Database::new(&direct(postgres.url("bench")))?;
    let folder = tempfile::tempdir()?;
    let json = format!(
        r#"{{"name": "{MODEL}", "dimensions": 384, "pooling": "mean", "query_prefix": "",
            "passage_prefix": "", "max_tokens": 512, "language": "none"}}"#
    );
    fs::write(folder.path().join("manifest.json"), json)?;
    migrations::migrate(&database, &Manifest::read(folder.path())?).await?;
    let classes = CLASSES.map(|(name, tenants, documents)| {
        let tenants = number(tenants * scale);
        format!(
            "SELECT '{name}' || t, n FROM generate_series(1, {tenants}) AS t, generate_series(1, {documents}) AS n"
        )
    });
    let sql = Sql::connect(&postgres.url("bench")).await?;
    let places = format!(
        "CREATE TABLE places AS SELECT u.tenant, u.n, 1 + (random() * 199)::integer AS centre
         FROM ({}) AS u (tenant, n) ORDER BY random()",
        classes.join(" UNION ALL ")
    );
    sql.run(&places).await?;
    sql.run(FILL).await?;
    migrations::build_index(&database, &IndexConfig::default()).await?;
    sql.run("VACUUM ANALYZE").await?;
    Ok(database)
}

/// A random question near one of the centres.
async fn question(database: &Database) -> Result<Vec<f32>> {
    let statement = Statement::read(
        "SELECT (v + noise(n))::real[] FROM centres OFFSET (random() * 199)::integer LIMIT 1",
    );
    let row: Option<(Vec<f32>,)> = database.fetch_optional(statement).await?;
    Ok(row.context("a centre")?.0)
}

async fn search(
    database: &Database,
    tenant: &str,
    mode: &str,
    question: Vec<f32>,
) -> Result<Vec<String>> {
    let statement = Statement::read(concat!(
        "SELECT document_id FROM ",
        schema::function!("search"),
        "($1, (SELECT name FROM rappel.model), $2, $3,
          ARRAY(SELECT 'w' || (power(random(), 3) * 3000)::integer FROM generate_series(1, 3)), '{1,2,3}', 10,
          NULL, NULL, NULL, 0.65, 1.2, 0.75, '{0,1,1}', 0, 1, 0, false)"
    ))
    .bind(tenant.to_owned())
    .bind(mode.to_owned())
    .bind(question);
    let rows: Vec<(String,)> = database.fetch_all(statement).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// The ten nearest documents of a tenant, by comparing with all.
async fn exact(database: &Database, tenant: &str, question: Vec<f32>) -> Result<Vec<String>> {
    let statement = Statement::read(concat!(
        "SELECT document_id FROM ",
        schema::function!("nearest_of_tenant"),
        "($1, $2::real[]::halfvec, 10, 1)"
    ))
    .bind(tenant.to_owned())
    .bind(question);
    let rows: Vec<(String,)> = database.fetch_all(statement).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}
