//! A followed table under `rappel up`: the speed of the first fill, how far documents lag behind random changes, what that costs
//! Postgres, and whether the documents equal the rows in the end.
//!
//! `xz -dc paragraphs.jsonl.xz | cargo bench -p tests --bench follow`: seven minutes for 10,000 rows. Each line of the standard
//! input is a row with `title`, `text` and `metadata`. Environment variables:
//!
//! - `FOLLOW_DATA`: a folder in which the database is kept. If it has the table, the standard input is not read, and a first
//!   fill that was interrupted goes on.
//! - `FOLLOW_ROWS`: the number of rows, 10,000 if absent.
//! - `FOLLOW_CHANGES`: the number of changes, 10,000 if absent.
//! - `FOLLOW_RATE`: changes a second, 40 if absent.

mod changes;
mod load;

use std::{
    env,
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
    process::Stdio,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use assets::Cache;
use database::Database;
use servers::postgres::Postgres;
use tests::{Sql, command, direct, eventually, number, rows_equal};
use tokio::process::Child;

use self::load::Load;

/// The name of the database.
const NAME: &str = "follow";
/// What the documents should be.
const DOCUMENTS: &str = "
    SELECT 'paragraphs/' || id, title, body, metadata || jsonb_build_object('revision', revision)
    FROM public.paragraphs";

#[tokio::main]
async fn main() -> Result<()> {
    let install = tokio::task::spawn_blocking(|| Cache::from_env()?.postgres()).await??;
    let postgres = match env::var("FOLLOW_DATA") {
        Ok(folder) => Postgres::open(&install, Path::new(&folder)).await?,
        Err(_) => Postgres::throwaway(&install).await?,
    };
    let server = Database::new(&direct(postgres.url("postgres")))?;
    server.create_database(NAME).await?;
    server.close().await;
    let url = postgres.url(NAME);
    let sql = Sql::connect(&url).await?;
    load::table(&sql, number("FOLLOW_ROWS", 10_000)?).await?;

    let folder = command::open_folder()?;
    let log = folder.path().join("up.log");
    let mut up = up(&url, &log).await?;
    let measured = measure(&url, &sql).await;
    up.kill().await?;
    measured.with_context(|| tail(&log))?;
    drop(sql);
    postgres.stop().await
}

fn print(line: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{line}")?)
}

/// `rappel up`, once it serves.
async fn up(url: &str, log: &Path) -> Result<Child> {
    let output = File::create(log)?;
    let mut up = command::rappel(Some(url), &["up", "--port", "0", "--no-samples"])
        .await?
        .stdout(Stdio::from(output.try_clone()?))
        .stderr(output)
        .spawn()
        .context("starting rappel up")?;
    eventually("rappel up serves", async || {
        let ended = up.try_wait()?;
        ensure!(ended.is_none(), "rappel up ended: {}", tail(log));
        let said = fs::read_to_string(log)?;
        Ok(said.contains("Serving on").then_some(()))
    })
    .await?;
    Ok(up)
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

async fn measure(url: &str, sql: &Sql) -> Result<()> {
    fill(url, sql).await?;
    let count = number("FOLLOW_CHANGES", 10_000)?;
    let load = Load::begin(sql).await?;
    let lags = changes::play(url, count, number("FOLLOW_RATE", 40)?).await?;
    print(&format!("{count} changes: {lags}"))?;
    print(&load.end(sql).await?)?;
    rows_equal(sql, "paragraphs", DOCUMENTS).await?;
    print("documents equal rows")
}

/// Follows the table, and waits until each row has its document.
async fn fill(url: &str, sql: &Sql) -> Result<()> {
    let documents = "SELECT count(*) FROM rappel.documents";
    let stored = sql.number(documents, &[]).await?;
    let follow = [
        "follow",
        "paragraphs",
        "--table",
        "public.paragraphs",
        "--title",
        "title",
        "--content",
        "body",
        "--metadata",
        "code=metadata->>'code'",
        "--metadata",
        "article=metadata->>'article'",
        "--metadata",
        "version=metadata->>'version'",
        "--metadata",
        "revision",
        "--wait",
    ];
    let start = Instant::now();
    let status = command::rappel(Some(url), &follow).await?.status().await?;
    ensure!(status.success(), "rappel follow: {status}");
    let filled = sql.number(documents, &[]).await? - stored;
    let rate = f64::from(i32::try_from(filled)?) / start.elapsed().as_secs_f64();
    print(&format!(
        "{filled} documents of rows in {:.0?}: {rate:.0} a second",
        start.elapsed()
    ))
}
