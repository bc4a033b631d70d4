//! Several statements that take effect together.

use sqlx::{
    AssertSqlSafe, FromRow, Postgres, SqlSafeStr as _, pool::PoolConnection, postgres::PgRow,
};

use super::{DatabaseError, Statement};

/// A transaction on a connection of the pool. Its statements are unnamed, so it works through every
/// pooler. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
}

impl Transaction {
    /// Sends `begin`, a script that starts with `BEGIN`: one round trip.
    pub(super) async fn begin(
        connection: PoolConnection<Postgres>,
        begin: &str,
    ) -> Result<Self, DatabaseError> {
        let inner = sqlx::Transaction::begin(
            connection,
            Some(AssertSqlSafe(begin.to_owned()).into_sql_str()),
        )
        .await
        .map_err(DatabaseError::running)?;
        Ok(Self { inner })
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

    /// Sends `rows`, in the text format of `COPY`, to the table and columns of `copy`.
    pub async fn copy_in(&mut self, copy: &'static str, rows: &[u8]) -> Result<u64, DatabaseError> {
        let mut sink = self
            .inner
            .copy_in_raw(copy)
            .await
            .map_err(DatabaseError::running)?;
        // Postgres reads CopyData messages whole: pieces keep its memory and ours flat.
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
