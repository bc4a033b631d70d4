//! Transactions.

use std::{
    io,
    time::{Duration, SystemTime},
};

use sqlx::{AssertSqlSafe, FromRow, postgres::PgRow};
use tokio::{runtime::Handle, time::timeout};

use super::{
    DatabaseError, Statement,
    backend::Backend,
    deadline,
    pool::Lease,
    session::{self, ISOLATION},
};

/// The limit of a statement's answer once limits are lifted.
const UNLIMITED: Duration = Duration::from_hours(24 * 365);

/// Lifts every limit of time, whoever set it: this program, or `ALTER ROLE … SET`. The server looks for the client
/// meanwhile, where it can: work that nobody can commit any more must not keep its locks.
const LIFT_LIMITS: &str = "
    SELECT set_config(s.name, CASE s.name WHEN 'client_connection_check_interval' THEN '2s' ELSE '0' END, true)
    FROM pg_settings AS s
    WHERE s.name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
       OR s.name = 'client_connection_check_interval' AND version() LIKE '%linux%'
";

/// The time limit of a rollback; after it the connection is dropped.
const ROLLBACK_LIMIT: Duration = Duration::from_secs(1);

/// A transaction on a connection of the pool. Its statements are unnamed, so it works through every
/// pooler. Dropped without [`commit`](Self::commit), it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    /// `None` when the connection was lost.
    lease: Option<Lease>,
    statement_timeout: Duration,
}

impl Transaction {
    /// Sends `BEGIN` and its settings in one message: one round trip. The settings end with the transaction, so they
    /// cannot leak to a pooler's next client.
    pub(super) async fn begin(
        mut lease: Lease,
        statement_timeout: Duration,
        settings: &[(&str, &str)],
    ) -> Result<Self, DatabaseError> {
        let mut begin = format!(
            "BEGIN ISOLATION LEVEL {ISOLATION}; SET LOCAL statement_timeout = {}",
            statement_timeout.as_millis()
        );
        for (name, value) in session::SETTINGS.iter().chain(settings) {
            begin = format!("{begin}; SET LOCAL {name} = '{value}'");
        }
        let limit = if lease.is_doubtful() {
            statement_timeout.min(deadline::FIRST_ANSWER)
        } else {
            statement_timeout
        };
        match deadline::answered(limit, script(&mut lease, &begin)).await {
            Ok(()) => Ok(Self {
                lease: Some(lease),
                statement_timeout,
            }),
            Err(error) => lease.settle(Err(error)),
        }
    }

    /// Runs a statement and reads all its rows.
    pub async fn fetch_all<T>(&mut self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let limit = self.statement_timeout;
        let fetch = statement.fetch_all_unnamed(self.lease()?.connection());
        let outcome = deadline::answered(limit, fetch).await;
        self.judge(outcome)
    }

    /// Lifts the limits of time for the rest of the transaction, for work that may take hours.
    pub async fn lift_limits(&mut self) -> Result<(), DatabaseError> {
        self.run_script(LIFT_LIMITS).await?;
        self.statement_timeout = UNLIMITED;
        Ok(())
    }

    /// Runs a script of several statements without arguments, limited only by the server.
    pub async fn run_script(&mut self, sql: &str) -> Result<(), DatabaseError> {
        let outcome = script(self.lease()?, sql).await;
        self.judge(outcome)
    }

    /// Copies `rows`, in the format of `copy`, to its table and columns.
    pub async fn copy_in(&mut self, copy: &'static str, rows: &[u8]) -> Result<u64, DatabaseError> {
        let limit = self.statement_timeout;
        let lease = self.lease()?;
        let send = async {
            let mut sink = lease.connection().copy_in_raw(copy).await?;
            // The driver sends each chunk as one message, which the server buffers whole.
            for piece in rows.chunks(64 * 1024) {
                sink.send(piece).await?;
            }
            sink.finish().await
        };
        let send = async { send.await.map_err(DatabaseError::running) };
        let outcome = deadline::answered(limit, send).await;
        self.judge(outcome)
    }

    /// Commits the transaction.
    pub async fn commit(mut self) -> Result<(), DatabaseError> {
        let limit = self.statement_timeout;
        let outcome = deadline::answered(limit, script(self.lease()?, "COMMIT")).await;
        self.judge(outcome)?;
        if let Some(lease) = self.lease.take() {
            lease.give_back();
        }
        Ok(())
    }

    /// The server process that runs it, if no pooler is in between.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.lease.as_ref()?.backend()
    }

    fn lease(&mut self) -> Result<&mut Lease, DatabaseError> {
        self.lease.as_mut().ok_or_else(|| {
            DatabaseError::Lost(sqlx::Error::Io(io::ErrorKind::NotConnected.into()).into())
        })
    }

    /// Drops an unusable connection; with one to a demoted server, also the idle ones.
    fn judge<T>(&mut self, outcome: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        match &outcome {
            Err(DatabaseError::ReadOnly(_)) => {
                if let Some(lease) = self.lease.take() {
                    lease.condemn();
                }
            }
            Err(error) if error.ends_connection() => self.lease = None,
            _ => {}
        }
        outcome
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let (Some(mut lease), Ok(runtime)) = (self.lease.take(), Handle::try_current()) else {
            return;
        };
        // The connection stays leased until the rollback is done: its next user must not find the transaction open.
        runtime.spawn(async move {
            let begun = SystemTime::now();
            let rolled_back = timeout(ROLLBACK_LIMIT, script(&mut lease, "ROLLBACK")).await;
            // If the sandbox was frozen meanwhile, the answer is stale, and so is the connection.
            if let Ok(Ok(())) = rolled_back
                && !deadline::has_passed(ROLLBACK_LIMIT, begun)
            {
                lease.give_back();
            }
        });
    }
}

async fn script(lease: &mut Lease, sql: &str) -> Result<(), DatabaseError> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(lease.connection())
        .await
        .map(drop)
        .map_err(DatabaseError::running)
}
