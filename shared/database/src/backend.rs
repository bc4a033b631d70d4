//! The server process behind a connection, inspected from another connection.
//!
//! A statement without an answer may still be running: a retry would run it twice at a time, just when the server is
//! slow.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::DatabaseError;

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

    /// Terminates the process and its statement, if it still exists.
    pub(super) async fn end(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let end = format!("SELECT pg_terminate_backend(pid) {}", self.found());
        sqlx::raw_sql(AssertSqlSafe(end))
            .execute(connection)
            .await
            .map(drop)
            .map_err(DatabaseError::running)
    }

    fn found(&self) -> String {
        format!(
            "FROM pg_stat_get_activity({}) WHERE backend_start = '{}'",
            self.pid,
            self.started.replace('\'', "''")
        )
    }
}
