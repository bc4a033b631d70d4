//! Several statements that take effect together.

use std::time::Duration;

use sqlx::{AssertSqlSafe, FromRow, Postgres, SqlSafeStr as _, postgres::PgRow};

use super::{
    DatabaseError, Statement,
    pool::{Lease, Leased},
};

/// A transaction on a connection of the pool. Its statements are unnamed, so it works through every
/// pooler. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    _leased: Leased,
}

impl Transaction {
    /// Begins, with its settings in the same message: one round trip. They end with the transaction,
    /// so they cannot leak to a pooler's next client.
    pub(super) async fn begin(
        lease: Lease,
        statement_timeout: Duration,
    ) -> Result<Self, DatabaseError> {
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL jit = off",
            statement_timeout.as_millis()
        );
        let (connection, leased) = lease.into_parts();
        let inner = sqlx::Transaction::begin(connection, Some(AssertSqlSafe(begin).into_sql_str()))
            .await
            .map_err(DatabaseError::running)?;
        Ok(Self {
            inner,
            _leased: leased,
        })
    }

    /// Runs a statement and reads all its rows.
    pub async fn fetch_all<T>(&mut self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        statement.fetch_all_unnamed(&mut self.inner).await
    }

    /// Runs a script of several statements without arguments.
    pub async fn run_script(&mut self, script: &str) -> Result<(), DatabaseError> {
        sqlx::raw_sql(AssertSqlSafe(script.to_owned()))
            .execute(&mut *self.inner)
            .await
            .map(drop)
            .map_err(DatabaseError::running)
    }

    /// Sends `rows`, in the format that `copy` names, to the table and columns of `copy`.
    pub async fn copy_in(&mut self, copy: &'static str, rows: &[u8]) -> Result<u64, DatabaseError> {
        let mut sink = self
            .inner
            .copy_in_raw(copy)
            .await
            .map_err(DatabaseError::running)?;
        // The driver sends a piece as one message, which the server holds in memory whole.
        for piece in rows.chunks(64 * 1024) {
            sink.send(piece).await.map_err(DatabaseError::running)?;
        }
        sink.finish().await.map_err(DatabaseError::running)
    }

    /// Makes everything since the beginning durable.
    pub async fn commit(self) -> Result<(), DatabaseError> {
        self.inner.commit().await.map_err(DatabaseError::running)
    }
}
