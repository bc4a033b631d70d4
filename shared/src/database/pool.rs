//! The pool, and a fresh one in its place when its connections died.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Cause, DatabaseError, Pooler, dial::Endpoint, forwarder::Forwarder};
use crate::config::DatabaseConfig;

/// A pool that can be replaced while it is used.
#[derive(Debug)]
pub(super) struct HealingPool {
    options: PgConnectOptions,
    pool_options: PgPoolOptions,
    /// `None` for a Unix socket, which needs no dialling.
    forwarder: Option<Forwarder>,
    current: RwLock<Generation>,
    acquire_timeout: Duration,
    leased: Arc<AtomicU32>,
}

/// A pool and its number, by which the request that saw it fail can name it.
#[derive(Clone, Debug)]
struct Generation {
    number: u64,
    pool: PgPool,
}

/// A connection lent by the pool.
#[derive(Debug)]
pub(super) struct Lease {
    connection: PoolConnection<Postgres>,
    generation: u64,
    leased: Leased,
}

/// Counts a connection as in use for as long as it lives.
#[derive(Debug)]
pub(super) struct Leased(Arc<AtomicU32>);

impl HealingPool {
    pub(super) fn new(
        options: PgConnectOptions,
        pooler: Pooler,
        config: &DatabaseConfig,
    ) -> Result<Self, DatabaseError> {
        let (options, forwarder) = through_forwarder(options, config)?;
        let pool_options = pool_options(pooler, config);
        let pool = pool_options.clone().connect_lazy_with(options.clone());
        Ok(Self {
            options,
            pool_options,
            forwarder,
            current: RwLock::new(Generation { number: 0, pool }),
            acquire_timeout: config.acquire_timeout,
            leased: Arc::default(),
        })
    }

    /// Lends a connection, a new one if none is idle and the pool may grow.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let Generation { number, pool } = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let connection = match pool.acquire().await {
            Ok(connection) => connection,
            Err(error) => return Err(self.explain(error).await),
        };
        Ok(Lease {
            connection,
            generation: number,
            leased: Leased::count(&self.leased),
        })
    }

    /// A connection outside the pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        self.options
            .connect()
            .await
            .map_err(|error| DatabaseError::connecting(&error, self.last_dial()))
    }

    /// Puts a fresh pool in place of the one of `generation`, unless another request did so already.
    /// The old pool is dropped, not closed: closing waits for an answer on connections that will
    /// never give one, and at one connection a sandbox that would block every later request.
    pub(super) fn replace(&self, generation: u64) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number == generation {
            let pool = self
                .pool_options
                .clone()
                .connect_lazy_with(self.options.clone());
            *current = Generation {
                number: generation + 1,
                pool,
            };
        }
    }

    /// Closes every connection with a word to the server.
    pub(super) async fn close(&self) {
        let pool = self
            .current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .pool
            .clone();
        // A connection that does not answer must not keep the process from ending.
        let _ = tokio::time::timeout(self.acquire_timeout.min(CLOSE_LIMIT), pool.close()).await;
        if let Some(forwarder) = &self.forwarder {
            forwarder.drain().await;
        }
    }

    /// Says why no connection came. sqlx tries again and again while a server is full or starting,
    /// and then says only that time ran out: one more try tells the cause.
    async fn explain(&self, error: sqlx::Error) -> DatabaseError {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return DatabaseError::connecting(&error, self.last_dial());
        }
        if self.leased.load(Ordering::Relaxed) >= self.pool_options.get_max_connections() {
            return DatabaseError::Busy;
        }
        match tokio::time::timeout(EXPLANATION_LIMIT, self.options.connect()).await {
            Ok(Err(cause)) => DatabaseError::connecting(&cause, self.last_dial()),
            _ => DatabaseError::connecting(&error, self.last_dial()),
        }
    }

    fn last_dial(&self) -> Option<super::dial::DialError> {
        self.forwarder.as_ref().and_then(Forwarder::last_failure)
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// The connection, to be kept as long as the second part.
    pub(super) fn into_parts(self) -> (PoolConnection<Postgres>, Leased) {
        (self.connection, self.leased)
    }

    /// The number of the pool that it belongs to.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }
}

impl Leased {
    fn count(leased: &Arc<AtomicU32>) -> Self {
        leased.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(leased))
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The time that closing may take of the 500 ms that Lambda leaves a process after SIGTERM.
const CLOSE_LIMIT: Duration = Duration::from_millis(250);

/// The time that is spent on finding out why no connection came.
const EXPLANATION_LIMIT: Duration = Duration::from_millis(500);

/// Leads the connections of `options` through a forwarder of our own, unless they use a Unix socket.
fn through_forwarder(
    options: PgConnectOptions,
    config: &DatabaseConfig,
) -> Result<(PgConnectOptions, Option<Forwarder>), DatabaseError> {
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok((options, None));
    }
    let endpoint = Endpoint {
        host: options.get_host().to_owned(),
        port: options.get_port(),
        family: config.address_family,
    };
    // Dialling is a part of acquiring: a little less, so that its cause is told, not a timeout.
    let dial_limit = config.acquire_timeout.mul_f32(0.9);
    let forwarder =
        Forwarder::start(endpoint, dial_limit).map_err(|error| DatabaseError::Unavailable {
            cause: Cause::Settings,
            detail: format!(
                "no socket can be made in {}: {error}",
                std::env::temp_dir().display()
            ),
        })?;
    Ok((options.socket(forwarder.folder()), Some(forwarder)))
}

fn pool_options(pooler: Pooler, config: &DatabaseConfig) -> PgPoolOptions {
    let pool = PgPoolOptions::new()
        .max_connections(config.connections)
        .min_connections(0)
        .acquire_timeout(config.acquire_timeout)
        // A ping before each use would cost every warm request a round trip; a dead connection is
        // noticed by the statement that meets it, which is repeated on a new one.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    if pooler != Pooler::Session {
        return pool;
    }
    let settings = format!(
        "SET statement_timeout = {}; SET jit = off",
        config.statement_timeout.as_millis()
    );
    pool.after_connect(move |connection, _| {
        let settings = settings.clone();
        Box::pin(async move { connection.execute(AssertSqlSafe(settings)).await.map(drop) })
    })
}
