//! The one room that touches connections: it dials, builds the pool, runs statements as the pooler in
//! between allows, and replaces connections that died.
//!
//! What is absent here on purpose: no statement is sent outside [`Database`] and [`Transaction`];
//! no named statement is sent in [`Pooler::Transaction`]; no unnamed statement is sent outside a
//! transaction, where a pooler may answer it with another client's rows.

mod current;
mod deadline;
mod dial;
mod failure;
mod forwarder;
mod login;
mod options;
mod pool;
mod pooler;
mod probe;
mod roots;
mod statement;
mod transaction;

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, FromRow, postgres::PgRow};

use self::{current::Current, pool::Lease, statement::Effect};
pub use self::{
    deadline::within,
    failure::{Cause, DatabaseError},
    pooler::Pooler,
    probe::{Dialled, Probe, ProbeConnection},
    statement::Statement,
    transaction::Transaction,
};
use crate::config::DatabaseConfig;

/// A Postgres behind a pool that is built without I/O and heals itself.
#[derive(Debug)]
pub struct Database {
    current: Current,
    statement_timeout: Duration,
}

impl Database {
    /// Builds the pool; no connection is made. It has to be called inside a Tokio runtime. If AWS keeps
    /// the URL or the password, the pool is built when they are first needed, and the server's refusal
    /// of a password that has been rotated since is met with the new one.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the URL or a certificate cannot be read.
    pub fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        Ok(Self {
            current: Current::new(config)?,
            statement_timeout: config.statement_timeout,
        })
    }

    /// What stands between this process and the server; `None` as long as AWS has not been asked where it is.
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.current.pooler()
    }

    /// Makes the first connection, so that the first request finds it.
    pub async fn warm(&self) -> Result<(), DatabaseError> {
        self.current.lease().await.map(Lease::give_back)
    }

    /// Runs a statement and reads all its rows. After a lost connection it runs once more on a new
    /// one, if the statement is [repeatable](Statement::read).
    ///
    /// Round trips of a warm call: 1 without a pooler, 4 through a transaction-mode pooler.
    pub async fn fetch_all<T>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let again = (statement.effect() != Effect::Another).then(|| statement.clone());
        match self.attempt(statement).await {
            Err(DatabaseError::Lost(cause)) => {
                self.current.forget_idle();
                let Some(statement) = again else {
                    return Err(DatabaseError::Lost(cause));
                };
                tracing::info!(%cause, "the connection was lost; trying once more on a new one");
                self.attempt(statement).await
            }
            outcome => outcome,
        }
    }

    /// Runs a statement and reads its first row, if there is one.
    pub async fn fetch_optional<T>(&self, statement: Statement) -> Result<Option<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        Ok(self.fetch_all(statement).await?.into_iter().next())
    }

    /// Starts a transaction, for work that takes more than one statement. A connection that died
    /// while it was idle is replaced first: nothing has been sent on it yet.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let (lease, limit) = self.lease().await?;
        self.begin_on(lease, limit).await
    }

    /// Runs one statement that Postgres refuses inside a transaction and that may take hours, such
    /// as `CREATE INDEX CONCURRENTLY`, on a connection of its own without a time limit. A
    /// transaction-mode pooler passes `settings` on to nobody; there the role's own limits hold.
    pub async fn run_unlimited(
        &self,
        settings: &[&str],
        sql: &str,
    ) -> Result<(), DatabaseError> {
        let mut connection = self.current.connect().await?;
        if self.pooler() != Some(Pooler::Transaction) {
            for setting in settings
                .iter()
                .copied()
                .chain(["SET statement_timeout = 0"])
            {
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

    /// Creates a database on this server, unless it is there.
    pub async fn create_database(&self, name: &str) -> Result<(), DatabaseError> {
        let create = format!("CREATE DATABASE \"{}\"", name.replace('"', "\"\""));
        match self.run_unlimited(&[], &create).await {
            // duplicate_database, or unique_violation where two create it at a time.
            Err(DatabaseError::Statement(error))
                if matches!(failure::code(&error).as_deref(), Some("42P04" | "23505")) =>
            {
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Closes every connection with a word to the server.
    pub async fn close(&self) {
        self.current.close().await;
    }

    /// One try of a statement. Only a transaction can carry a limit of its own, which a request whose
    /// time is nearly over needs, and only a transaction can tell that a connection is dead before the
    /// statement is sent, which one that changes something needs.
    async fn attempt<T>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let (mut lease, limit) = self.lease().await?;
        if lease.pooler() == Pooler::Transaction
            || limit < self.statement_timeout
            || (lease.is_doubtful() && statement.effect() != Effect::None)
        {
            let mut transaction = self.begin_on(lease, limit).await?;
            let rows = transaction.fetch_all(statement).await?;
            transaction.commit().await?;
            return Ok(rows);
        }
        let limit = if lease.is_doubtful() {
            limit.min(deadline::FIRST_ANSWER)
        } else {
            limit
        };
        let rows = deadline::answered(limit, statement.fetch_all(lease.connection())).await;
        lease.settle(rows)
    }

    /// A connection, and the limit of a statement that starts on it now.
    async fn lease(&self) -> Result<(Lease, Duration), DatabaseError> {
        let lease = self.current.lease().await?;
        match deadline::limit(self.statement_timeout) {
            Ok(limit) => Ok((lease, limit)),
            Err(late) => lease.settle(Err(late)),
        }
    }

    /// Begins a transaction on `lease`, or on a new connection if that one is dead.
    async fn begin_on(&self, lease: Lease, limit: Duration) -> Result<Transaction, DatabaseError> {
        match Transaction::begin(lease, limit).await {
            Err(DatabaseError::Lost(cause)) => {
                tracing::info!(%cause, "the connection was lost; beginning on a new one");
                self.current.forget_idle();
                let (lease, limit) = self.lease().await?;
                Transaction::begin(lease, limit).await
            }
            begun => begun,
        }
    }
}
