//! The server process behind a connection, inspected from another connection.
//!
//! A statement without an answer may still be running: a retry would run it twice at a time, just when the server is
//! slow.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::DatabaseError;

/// How long a terminated process may take to end. It ends at its next check for interrupts, usually within milliseconds;
/// Postgres looks whether it has every 100 ms.
pub(super) const ENDING: Duration = Duration::from_secs(1);

/// A server process that serves only one connection of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    /// `backend_start` as text: the server may reuse a process id.
    pub(super) started: String,
}

impl Backend {
    /// Whether it is running a statement. False for a process of another server, after a failover.
    pub(super) async fn is_working(
        &self,
        connection: &mut PgConnection,
    ) -> Result<bool, DatabaseError> {
        let state = format!(
            "SELECT coalesce(state, '') NOT LIKE 'idle%' AS working {}",
            self.found()
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(state))
            .fetch_all(connection)
            .await
            .map_err(DatabaseError::running)?;
        let working = rows.first().map(|row| row.try_get("working"));
        working
            .transpose()
            .map(|working| working.unwrap_or(false))
            .map_err(DatabaseError::running)
    }

    /// Terminates the process and its statement, if it still exists, and waits until it has ended: the signal alone
    /// ends nothing yet. Returns whether it has within `patience`.
    pub(super) async fn end(
        &self,
        connection: &mut PgConnection,
        patience: Duration,
    ) -> Result<bool, DatabaseError> {
        let end = format!(
            "SELECT pg_terminate_backend(pid, {}) AS ended {}",
            patience.as_millis().max(1),
            self.found()
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(end))
            .fetch_all(&mut *connection)
            .await
            .map_err(DatabaseError::running)?;
        let ended = rows.first().map(|row| row.try_get("ended"));
        if ended.transpose().map_err(DatabaseError::running)? != Some(false) {
            return Ok(true);
        }
        // It may have ended by itself before the signal.
        let left = sqlx::raw_sql(AssertSqlSafe(format!("SELECT {}", self.found())))
            .fetch_all(connection)
            .await
            .map_err(DatabaseError::running)?;
        Ok(left.is_empty())
    }

    fn found(&self) -> String {
        format!(
            "FROM pg_stat_get_activity({}) WHERE backend_start = '{}'",
            self.pid,
            self.started.replace('\'', "''")
        )
    }
}
