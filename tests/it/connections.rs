//! Connections to the database: poolers, broken networks, refusals, TLS, addresses, shutdown.
//!
//! Most stories use the engine alone, `database`; where a story is about requests, it uses
//! the built functions. Times are printed, never asserted: `--nocapture` shows them.

mod causes;
mod dialling;
mod errors;
mod limits;
mod namespace;
mod once;
mod pgpool;
mod poolers;
mod proof;
mod recovery;
mod round_trips;
mod sharing;
mod shutdown;
mod tls;
mod waking;

use std::time::Duration;

use anyhow::{Context, Result};
use database::{
    AddressFamily, Cause, Database, DatabaseConfig, DatabaseError, PoolerSetting, Statement,
};
use reqwest::Url;
use shared::{Error, problem::Problem};
use tests::App;
use tokio::time::timeout;

use crate::Outcome;

/// A story of one database waits for it at most twice the longest limit.
const HANG: Duration = Duration::from_secs(30);

/// Longer than a connection is trusted after its last answer.
const LONG_IDLE: Duration = Duration::from_millis(2_300);

/// The settings that a function has, for the database at `url`.
fn settings(url: &str) -> DatabaseConfig {
    DatabaseConfig {
        url: url.to_owned(),
        credentials: None,
        pooler: PoolerSetting::Auto,
        address_family: AddressFamily::Auto,
        application_name: "rappel-connections".to_owned(),
        connections: 1,
        acquire_timeout: Duration::from_secs(2),
        wake_timeout: Duration::ZERO,
        statement_timeout: Duration::from_secs(10),
        settings: &[],
    }
}

/// Asks for `n`, and answers what came.
async fn echo(database: &Database, n: i64) -> Result<i64> {
    let statement = Statement::read("SELECT $1::bigint").bind(n);
    let row: Option<(i64,)> = timeout(HANG, database.fetch_optional(statement))
        .await
        .context("the database hangs")??;
    Ok(row.context("SELECT has a row")?.0)
}

/// The cause for which no connection comes about, and all that is said of it.
async fn cause(config: &DatabaseConfig) -> Result<(Cause, String)> {
    let error = match Database::new(config) {
        Ok(database) => failure(&database).await?,
        Err(error) => error,
    };
    let said = error.to_string();
    match error {
        DatabaseError::Unavailable { cause, .. } => Ok((cause, said)),
        other => Err(other).context("expected no connection"),
    }
}

/// The error of the simplest statement.
async fn failure(database: &Database) -> Result<DatabaseError> {
    let statement = Statement::read("SELECT 1");
    timeout(HANG, database.fetch_optional::<(i32,)>(statement))
        .await
        .context("the database hangs")?
        .err()
        .context("expected an error")
}

/// The word of the problem that a client receives.
fn problem_word(error: DatabaseError) -> String {
    Problem::from(&Error::from(error)).r#type
}

/// The port of the server that `app` uses.
fn server_port(app: &App) -> Result<u16> {
    port(app.database_url())
}

pub(crate) fn port(url: &str) -> Result<u16> {
    Url::parse(url)?
        .port()
        .context("the database's URL has a port")
}
