//! The one room that touches connections: it builds the pool, runs statements as the pooler in
//! between allows, and replaces the pool when its connections died.
//!
//! What is absent here on purpose: no statement is sent outside [`Database`] and [`Transaction`];
//! no named statement is sent in [`Pooler::Transaction`]; no unnamed statement is sent outside a
//! transaction, where a pooler may answer it with another client's rows.

mod failure;
mod pooler;
mod statement;
mod transaction;

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, FromRow, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions, PgRow},
};

pub use self::{
    failure::DatabaseError, pooler::Pooler, statement::Statement, transaction::Transaction,
};
use crate::config::DatabaseConfig;

/// A Postgres behind a pool that is built without I/O and heals itself.
#[derive(Debug)]
pub struct Database {
    options: PgConnectOptions,
    pooler: Pooler,
    connections: u32,
    acquire_timeout: Duration,
    statement_timeout: Duration,
    pool: RwLock<PgPool>,
}

/// The time that a statement's answer may take beyond the server's own limit before the connection
/// counts as dead.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

impl Database {
    /// Builds the pool; no connection is made.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] when the URL cannot be read.
    pub fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let options: PgConnectOptions =
            config
                .url
                .parse()
                .map_err(|source| DatabaseError::Unavailable {
                    cause: "DATABASE_URL cannot be read".to_owned(),
                    source,
                })?;
        let pooler = Pooler::of(config.pooler, &options);
        let mut options = options
            .application_name(&config.application_name)
            // PgBouncer refuses this startup parameter, and nothing here reads a float as text.
            .extra_float_digits(None)
            .disable_statement_logging();
        if pooler == Pooler::Direct {
            // A pooler would refuse or drop startup options; there they are set per transaction.
            options = options.options([
                (
                    "statement_timeout",
                    config.statement_timeout.as_millis().to_string(),
                ),
                ("jit", "off".to_owned()),
            ]);
        }
        let (connections, acquire_timeout) = (config.connections, config.acquire_timeout);
        let pool = RwLock::new(lazy_pool(&options, connections, acquire_timeout));
        Ok(Self {
            options,
            pooler,
            connections,
            acquire_timeout,
            statement_timeout: config.statement_timeout,
            pool,
        })
    }

    /// What stands between this process and the server.
    #[must_use]
    pub fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Makes the first connection, so that the first request finds it.
    pub async fn warm(&self) -> Result<(), DatabaseError> {
        self.acquire(&self.current()).await.map(drop)
    }

    /// Runs a statement and reads all its rows.
    ///
    /// Round trips of a warm call: 1 without a pooler, 4 through a transaction-mode pooler.
    pub async fn fetch_all<T>(&self, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let pool = self.current();
        match self.attempt(&pool, statement.clone()).await {
            Err(lost @ DatabaseError::Lost(_)) => {
                self.replace(&pool);
                if !statement.repeatable() {
                    return Err(lost);
                }
                tracing::info!(cause = ?lost, "the connection was lost; trying once more on a new one");
                self.attempt(&self.current(), statement).await
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

    /// Starts a transaction, for work that takes more than one statement.
    pub async fn begin(&self) -> Result<Transaction, DatabaseError> {
        let pool = self.current();
        let connection = self.acquire(&pool).await?;
        let begun = Transaction::begin(connection, &self.transaction_settings()).await;
        if let Err(DatabaseError::Lost(_)) = &begun {
            self.replace(&pool);
        }
        begun
    }

    /// Runs one statement that Postgres refuses inside a transaction and that may take hours, such
    /// as `CREATE INDEX CONCURRENTLY`, on a connection of its own without a time limit.
    pub async fn run_unlimited(
        &self,
        settings: &[&'static str],
        sql: &str,
    ) -> Result<(), DatabaseError> {
        let mut connection = self
            .options
            .connect()
            .await
            .map_err(DatabaseError::connecting)?;
        if self.pooler != Pooler::Transaction {
            for setting in settings
                .iter()
                .copied()
                .chain(["SET statement_timeout = 0"])
            {
                sqlx::raw_sql(setting)
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

    /// Creates a database on this server, unless it is there. `name` is quoted, not checked.
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
        self.current().close().await;
    }

    /// One try of a statement on a connection of `pool`.
    async fn attempt<T>(&self, pool: &PgPool, statement: Statement) -> Result<Vec<T>, DatabaseError>
    where
        T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        let mut connection = self.acquire(pool).await?;
        let limit = self.statement_timeout + ANSWER_GRACE;
        let run = async {
            if self.pooler == Pooler::Transaction {
                let mut transaction =
                    Transaction::begin(connection, &self.transaction_settings()).await?;
                let rows = transaction.fetch_all(statement).await?;
                transaction.commit().await?;
                Ok(rows)
            } else {
                statement.fetch_all(&mut connection).await
            }
        };
        tokio::time::timeout(limit, run)
            .await
            .unwrap_or_else(|_| Err(DatabaseError::no_answer(limit)))
    }

    async fn acquire(&self, pool: &PgPool) -> Result<PoolConnection<Postgres>, DatabaseError> {
        pool.acquire().await.map_err(DatabaseError::connecting)
    }

    /// What every transaction begins with. It is one message with `BEGIN`, so it costs no round trip,
    /// and it ends with the transaction, so it cannot leak to a pooler's next client.
    fn transaction_settings(&self) -> String {
        format!(
            "BEGIN; SET LOCAL statement_timeout = {}; SET LOCAL jit = off",
            self.statement_timeout.as_millis()
        )
    }

    fn current(&self) -> PgPool {
        self.pool
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Puts a fresh pool in place of `dead`, unless another request did so already. The old pool is
    /// dropped, not closed: closing waits for an answer on connections that will never give one.
    fn replace(&self, dead: &PgPool) {
        let mut pool = self.pool.write().unwrap_or_else(PoisonError::into_inner);
        if std::ptr::eq(pool.options(), dead.options()) {
            *pool = lazy_pool(&self.options, self.connections, self.acquire_timeout);
        }
    }
}

fn lazy_pool(options: &PgConnectOptions, connections: u32, acquire_timeout: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .min_connections(0)
        .acquire_timeout(acquire_timeout)
        // A ping before each use would cost every warm request a round trip; a dead connection is
        // noticed by the statement that meets it, and repeated on a new one.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone())
}
