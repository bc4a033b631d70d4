//! Connections, the pool and statements: dials, builds the pool, runs statements as the pooler in between allows, and
//! replaces dead connections.
//!
//! Invariants: every statement goes through [`Database`] or [`Transaction`]; named statements only on a connection
//! [proven](Proof) to have no pooler; unnamed statements only inside a transaction, as outside one a pooler may
//! answer with another client's rows.

mod backend;
mod config;
mod current;
mod deadline;
mod dial;
mod driver_error;
mod failure;
mod forwarder;
mod login;
mod messages;
mod mistakes;
mod options;
mod pool;
mod pooler;
mod probe;
mod proof;
mod roots;
mod route;
mod session;
mod statement;
mod token;
mod transaction;

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
pub use sqlx::FromRow;
use sqlx::{AssertSqlSafe, Connection, postgres::PgRow};
pub use sqlx_macros::FromRow;
use tokio::time::timeout;

use self::{backend::Backend, current::Current, pool::Lease, route::Connected, statement::Effect};
pub use self::{
    config::{AddressFamily, DatabaseConfig, PoolerSetting},
    deadline::within,
    driver_error::DriverError,
    failure::{Cause, DatabaseError},
    pooler::{Pooler, Standing},
    probe::{Dialled, Probe, ProbeConnection},
    proof::Proof,
    statement::Statement,
    transaction::Transaction,
};

/// Lifts the limits of time of a session, whoever set them: this program, or `ALTER ROLE … SET`.
const LIFT_LIMITS: &str = "
    SELECT set_config(s.name, '0', false) FROM pg_settings AS s
    WHERE s.name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
";

/// A Postgres behind a pool that is built without I/O and heals itself.
#[derive(Debug)]
pub struct Database {
    current: Current,
    statement_timeout: Duration,
    settings: &'static [(&'static str, &'static str)],
}

impl Database {
    /// Builds the pool; opens no connection. Requires a Tokio runtime. If AWS keeps the URL or the password, the pool
    /// is built at first use, and rebuilt when the server refuses a password that was rotated since.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the URL or a certificate cannot be read.
    pub fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        Ok(Self {
            current: Current::new(config)?,
            statement_timeout: config.statement_timeout,
            settings: config.settings,
        })
    }

    /// How statements are sent; `None` until known: see [`Self::standing`].
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.standing().map(|standing| standing.pooler)
    }

    /// The pooler in between, and its proof; `None` before the first connection, and until AWS has returned the
    /// server's address.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.current.standing()
    }

    /// Opens the first connection ahead of the first request.
    pub async fn warm(&self) -> Result<(), DatabaseError> {
        self.current.lease().await.map(Lease::give_back)
    }

    /// Runs a statement and reads all its rows. After a lost connection it is retried once on a new one, if it is
    /// [repeatable](Statement::read).
    ///
    /// Round trips of a warm call: 1 without a pooler, 4 through a transaction-mode pooler.
    pub async fn fetch_all<T>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.fetch_again(statement).await?.0)
    }

    /// The same, and whether an earlier try may have taken effect because its connection was lost before the answer:
    /// the rows then reflect that try.
    pub async fn fetch_again<T>(
        &self,
        statement: Statement,
    ) -> Result<(Vec<T>, bool), DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let again = statement.clone();
        let mut used = None;
        let error = match self.attempt(statement, &mut used).await {
            Ok(rows) => return Ok((rows, false)),
            Err(error) => error,
        };
        // On the heap: rare paths must not enlarge every request's future.
        Box::pin(self.repeat(again, used, error)).await
    }

    /// Runs a statement and reads its first row, if any.
    pub async fn fetch_optional<T>(&self, statement: Statement) -> Result<Option<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// Begins a transaction, for work of several statements. A connection that died while idle is replaced first:
    /// nothing was sent on it yet.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let (lease, limit) = self.lease().await?;
        self.begin_on(lease, limit).await
    }

    /// Runs one statement that Postgres refuses inside a transaction and that may take hours, such as
    /// `CREATE INDEX CONCURRENTLY`, on a separate connection without limits of time. A transaction-mode pooler drops
    /// `settings`; there the role's own limits hold.
    pub async fn run_unlimited(&self, settings: &[&str], sql: &str) -> Result<(), DatabaseError> {
        let Connected {
            mut connection,
            standing,
            ..
        } = self.current.connect().await?;
        // Startup options that arrived do not come from a pooler, and limit this connection too.
        if standing.pooler != Pooler::Transaction || standing.proof == Proof::StartupOptions {
            for setting in settings.iter().copied().chain([LIFT_LIMITS]) {
                sqlx::raw_sql(AssertSqlSafe(setting.to_owned()))
                    .execute(&mut connection)
                    .await
                    .map_err(DatabaseError::running)?;
            }
        }
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
            .execute(&mut connection)
            .await
            .map_err(DatabaseError::running)?;
        connection.close().await.map_err(DatabaseError::running)
    }

    /// Creates a database on this server, unless it exists.
    pub async fn create_database(&self, name: &str) -> Result<(), DatabaseError> {
        let create = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        match self.run_unlimited(&[], &create).await {
            // duplicate_database, or unique_violation for two concurrent creates.
            Err(DatabaseError::Statement(error))
                if matches!(error.sqlstate().as_deref(), Some("42P04" | "23505")) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Closes every connection, with a Terminate message.
    pub async fn close(&self) {
        self.current.close().await;
    }

    /// One try of a statement. Only a transaction can carry its own timeout, for a request that is nearly out of
    /// time, and only a transaction detects a dead connection before the statement is sent, as a write needs. Sets
    /// `used` to the server process that ran it, if known.
    async fn attempt<T>(
        &self,
        statement: Statement,
        used: &mut Option<Backend>,
    ) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let (mut lease, limit) = self.lease().await?;
        if lease.standing().pooler != Pooler::Direct
            || limit < self.statement_timeout
            || (lease.is_doubtful() && statement.effect() != Effect::None)
        {
            let mut transaction = self.begin_on(lease, limit).await?;
            *used = transaction.backend().cloned();
            let rows = transaction.fetch_all(statement).await?;
            transaction.commit().await?;
            return Ok(rows);
        }
        *used = lease.backend().cloned();
        let rows = if lease.is_doubtful() {
            // On the heap, as all rare paths.
            Box::pin(self.fetch_in_doubt(&mut lease, limit, statement)).await
        } else {
            deadline::answered(limit, statement.fetch_all(lease.connection())).await
        };
        lease.settle(rows)
    }

    /// Runs a read on a connection that may have died while idle. Without an answer, another connection checks
    /// whether the server runs it: if so, wait, since a retry would run it twice, just when the server is slow.
    async fn fetch_in_doubt<T>(
        &self,
        lease: &mut Lease,
        limit: Duration,
        statement: Statement,
    ) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let backend = lease.backend().cloned();
        let mut answer = pin!(deadline::answered(
            limit,
            statement.fetch_all(lease.connection())
        ));
        if let Ok(rows) = timeout(deadline::DOUBT, answer.as_mut()).await {
            return rows;
        }
        let looked = Box::pin(self.is_working(backend));
        match select(answer, looked).await {
            Either::Left((rows, _)) => rows,
            Either::Right((true, answer)) => answer.await,
            Either::Right((false, _)) => Err(DatabaseError::no_answer(deadline::DOUBT)),
        }
    }

    async fn is_working(&self, backend: Option<Backend>) -> bool {
        let (Some(backend), Ok(mut other)) = (backend, self.current.connect().await) else {
            return false;
        };
        let looked = timeout(deadline::DOUBT, backend.is_working(&mut other.connection)).await;
        matches!(looked, Ok(Ok(true)))
    }

    /// Handles `error`: retries on a new connection, if that may help and the statement may run again. First
    /// terminates the server process `used`, which may still run the first try.
    async fn repeat<T>(
        &self,
        statement: Statement,
        used: Option<Backend>,
        error: DatabaseError,
    ) -> Result<(Vec<T>, bool), DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut repeated = false;
        match &error {
            DatabaseError::Lost(cause) => {
                self.current.forget_idle();
                if statement.effect() == Effect::Another {
                    return Err(error);
                }
                tracing::info!(%cause, "the connection was lost; retrying on a new one");
                repeated = true;
                if let Some(backend) = used
                    && !self.end(&backend).await?
                {
                    return Err(error);
                }
            }
            // The server refused to execute it.
            DatabaseError::ReadOnly(_) => {
                self.current.forget_idle();
                tracing::warn!("the server is read-only; retrying on a new connection");
            }
            DatabaseError::Shared(_) => self.current.distrust(),
            _ => return Err(error),
        }
        let outcome = self.attempt(statement, &mut None).await;
        if let Err(error) = &outcome
            && error.ends_connection()
        {
            self.current.forget_idle();
        }
        Ok((outcome?, repeated))
    }

    /// Terminates a server process. Returns `false` if it is still running.
    async fn end(&self, backend: &Backend) -> Result<bool, DatabaseError> {
        let (mut lease, limit) = self.lease().await?;
        // The wait must not meet the statement timeout.
        let patience = backend::ENDING.min(limit / 2);
        let ended = deadline::answered(limit, backend.end(lease.connection(), patience)).await;
        // A role without the right to terminate it leaves it to the server's statement timeout.
        match lease.settle(ended) {
            Err(error) if error.ends_connection() => Err(error),
            Err(_) => Ok(true),
            Ok(ended) => Ok(ended),
        }
    }

    /// A connection, and the timeout of a statement that starts on it now.
    async fn lease(&self) -> Result<(Lease, Duration), DatabaseError> {
        let lease = self.current.lease().await?;
        match deadline::limit(self.statement_timeout) {
            Ok(limit) => Ok((lease, limit)),
            Err(late) => lease.settle(Err(late)),
        }
    }

    /// Begins a transaction on `lease`, or on a new connection if that one is dead.
    async fn begin_on(&self, lease: Lease, limit: Duration) -> Result<Transaction, DatabaseError> {
        match Transaction::begin(lease, limit, self.settings).await {
            Err(DatabaseError::Lost(cause)) => {
                tracing::info!(%cause, "the connection was lost; starting the transaction on a new one");
                self.current.forget_idle();
                let (lease, limit) = self.lease().await?;
                Transaction::begin(lease, limit, self.settings).await
            }
            begun => begun,
        }
    }
}
