//! Checks the server: version, round trip, clock, and the settings that reach it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use database::{DatabaseConfig, Pooler, Probe, Statement};
use retrieval::{
    SearchState,
    health::finding::{Finding, failed, ok, warning},
};
use shared::Error;

/// The oldest Postgres with SQL function bodies that are resolved at creation (`BEGIN ATOMIC`).
const OLDEST_POSTGRES: i32 = 140_000;

/// Number of round trips for the median.
const ROUND_TRIPS: usize = 11;

/// Within a region a round trip takes at most 2 ms; a slower one means another region.
const FAR: Duration = Duration::from_millis(20);

/// Beyond this, times in the database and in logs cannot be compared.
const CLOCK_LIMIT: Duration = Duration::from_secs(5);

/// The server's version.
pub(super) async fn version(state: &SearchState) -> Result<Finding, Error> {
    let statement = Statement::read(
        "SELECT current_setting('server_version'), current_setting('server_version_num')::integer, version()",
    );
    let row: Option<(String, i32, String)> = state.database.fetch_optional(statement).await?;
    let (version, number, platform) = row.unwrap_or_default();
    let platform = platform
        .split(" on ")
        .nth(1)
        .and_then(|on| on.split(',').next());
    let found = format!(
        "PostgreSQL {version} on {}",
        platform.unwrap_or("an unknown platform")
    );
    Ok(if number >= OLDEST_POSTGRES {
        ok(found)
    } else {
        failed(found, "use PostgreSQL 14 or newer")
    })
}

/// The round trip time on a warm connection.
pub(super) async fn round_trip(probe: &Probe) -> Result<Finding, Error> {
    let mut connection = probe.connect().await?;
    let mut times = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        connection.row::<(i32,)>("SELECT 1").await?;
        times.push(start.elapsed());
    }
    connection.close().await;
    times.sort();
    let median = times[ROUND_TRIPS / 2];
    let found = format!(
        "{:.2} ms, the median of {ROUND_TRIPS}",
        median.as_secs_f64() * 1e3
    );
    Ok(if median < FAR {
        ok(found)
    } else {
        warning(found, "run the functions in the database's region")
    })
}

/// The difference of the clocks, as exactly as the round trip allows.
pub(super) async fn clock(probe: &Probe) -> Result<Finding, Error> {
    let mut connection = probe.connect().await?;
    let sql = "SELECT extract(epoch FROM clock_timestamp())::float8";
    // The first statement on a connection takes longer, which would look like a difference.
    connection.row::<(f64,)>(sql).await?;
    let (before, start) = (SystemTime::now(), Instant::now());
    let theirs: Option<(f64,)> = connection.row(sql).await?;
    let round_trip = start.elapsed();
    connection.close().await;
    let ours = before.duration_since(UNIX_EPOCH).unwrap_or_default() + round_trip / 2;
    let ahead = theirs.map_or(0.0, |row| row.0) - ours.as_secs_f64();
    let found = format!(
        "the server's is {:.1} ms {} ours, ± {:.1} ms",
        ahead.abs() * 1e3,
        if ahead < 0.0 { "behind" } else { "ahead of" },
        round_trip.as_secs_f64() * 500.0
    );
    Ok(if ahead.abs() < CLOCK_LIMIT.as_secs_f64() {
        ok(found)
    } else {
        warning(found, "synchronise both clocks by NTP")
    })
}

/// Whether the connection's settings are in effect, read by a statement like any other.
pub(super) async fn settings(
    state: &SearchState,
    config: &DatabaseConfig,
) -> Result<Finding, Error> {
    let statement = Statement::read(
        "SELECT (SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'),
                current_setting('jit'), current_setting('application_name')",
    );
    let row: Option<(i64, String, String)> = state.database.fetch_optional(statement).await?;
    let (timeout, jit, name) = row.unwrap_or_default();
    let wanted = i64::try_from(config.statement_timeout.as_millis()).unwrap_or(i64::MAX);
    let how = match state.database.pooler() {
        Some(Pooler::Session | Pooler::Transaction) => "in each transaction",
        Some(Pooler::Direct) | None => "by startup options",
    };
    let found =
        format!("statement_timeout {timeout} ms and jit {jit} {how}; application_name {name}");
    Ok(if timeout != wanted {
        failed(
            format!("{found}; statement_timeout should be {wanted} ms"),
            "a pooler drops it: set DATABASE_POOLER to its mode",
        )
    } else if jit != "off" {
        warning(
            format!("{found}; jit should be off"),
            "a pooler drops it: set DATABASE_POOLER to its mode",
        )
    } else if name != config.application_name {
        warning(
            format!("{found} instead of {}", config.application_name),
            "make the pooler pass application_name on, or identify the functions' connections by their user",
        )
    } else {
        ok(found)
    })
}
