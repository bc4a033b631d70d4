//! The server process at the other end of a connection, looked at from another connection.
//!
//! A statement whose answer does not come may still run: sent again, it would run twice at a time,
//! just when the server is slow.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::DatabaseError;

/// A server process that serves one connection of ours and nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) pid: i32,
    /// When it was started, as the server writes it: another process may get the same number.
    pub(super) started: String,
}

impl Backend {
    /// Whether it works on a statement now. A process of another server, after a failover, does not.
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

    /// Ends it, with whatever it works on, if it is still there.
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
