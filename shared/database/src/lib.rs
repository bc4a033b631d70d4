//! The one room that touches connections: it dials, builds the pool, runs statements as the pooler in
//! between allows, and replaces connections that died.
//!
//! What is absent here on purpose: no statement is sent outside [`Database`] and [`Transaction`];
//! no named statement is sent on a connection of which it is not [proven](Proof) that no pooler stands
//! in between; no unnamed statement is sent outside a transaction, where a pooler may answer it with
//! another client's rows.

mod backend;
mod config;
mod current;
mod deadline;
mod dial;
mod driver_error;
mod encoding;
mod failure;
mod forwarder;
mod login;
mod options;
mod pool;
mod pooler;
mod probe;
mod proof;
mod roots;
mod route;
mod statement;
mod token;
mod transaction;

use std::{pin::pin, time::Duration};

use futures_util::future::{Either, select};
use sqlx::{AssertSqlSafe, Connection, FromRow, postgres::PgRow};
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

    /// How statements are sent to the server; `None` as long as that is not known: see [`Self::standing`].
    #[must_use]
    pub fn pooler(&self) -> Option<Pooler> {
        self.standing().map(|standing| standing.pooler)
    }

    /// What stands between this process and the server, and how that is known; `None` before the first
    /// connection has shown it, and as long as AWS has not been asked where the server is.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.current.standing()
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
        Ok(self.fetch_again(statement).await?.0)
    }

    /// The same, and whether an earlier try of the statement may have taken effect, since its connection
    /// was lost before the answer came: then the rows tell of what that one left.
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
        // On the heap: what is hardly ever needed must not make each request larger.
        Box::pin(self.repeat(again, used, error)).await
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
    pub async fn run_unlimited(&self, settings: &[&str], sql: &str) -> Result<(), DatabaseError> {
        let Connected {
            mut connection,
            standing,
            ..
        } = self.current.connect().await?;
        // Startup options that arrived are not a pooler's doing, and limit this connection too.
        if standing.pooler != Pooler::Transaction || standing.proof == Proof::StartupOptions {
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
                if matches!(error.sqlstate().as_deref(), Some("42P04" | "23505")) =>
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
    /// statement is sent, which one that changes something needs. `used` becomes the server process that
    /// worked on it, where that is known.
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
            // On the heap, as all that is rarely needed.
            Box::pin(self.fetch_in_doubt(&mut lease, limit, statement)).await
        } else {
            deadline::answered(limit, statement.fetch_all(lease.connection())).await
        };
        lease.settle(rows)
    }

    /// Runs a read on a connection that may have died while it was idle. If no answer comes, the server
    /// is asked over another connection whether it works on it: then it is waited for, since sent again
    /// it would run twice, just when the server is slow.
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

    /// What to do after `error`: another try on a new connection, if that may help and the statement may
    /// run again. The server process `used` is ended first, since it may still work on the first try.
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
                tracing::info!(%cause, "the connection was lost; trying once more on a new one");
                repeated = true;
                if let Some(backend) = used {
                    self.end(&backend).await?;
                }
            }
            // The server refused to execute it.
            DatabaseError::ReadOnly(_) => {
                self.current.forget_idle();
                tracing::warn!("the server is read-only; trying once more on a new connection");
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

    async fn end(&self, backend: &Backend) -> Result<(), DatabaseError> {
        let (mut lease, limit) = self.lease().await?;
        let ended = deadline::answered(limit, backend.end(lease.connection())).await;
        // Whoever may not end it leaves it to the server's own limit.
        match lease.settle(ended) {
            Err(error) if error.ends_connection() => Err(error),
            _ => Ok(()),
        }
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
