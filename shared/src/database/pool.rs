//! The pool. sqlx's `PgPool` makes the connections and limits their number; between two uses a connection
//! stays checked out of it, in a list of our own.
//!
//! Given back, sqlx would ask it for a sign of life: a round trip after every request, in the middle of
//! which Lambda freezes the sandbox, and one without a limit, so that a connection that went silent
//! blocks a pool of one for good.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{
    Cause, DatabaseError, Pooler, deadline::has_passed, dial::Endpoint, forwarder::Forwarder,
};
use crate::config::DatabaseConfig;

/// How long after its last answer a connection is taken to be alive: a function that is busy pays
/// nothing for doubts, and one that was frozen, be it for moments, has them.
const TRUSTED: Duration = Duration::from_secs(2);

/// The time that closing may take of the 500 ms that Lambda leaves a process after SIGTERM.
const CLOSE_LIMIT: Duration = Duration::from_millis(250);

/// The time that is spent on finding out why no connection came.
const EXPLANATION_LIMIT: Duration = Duration::from_millis(500);

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    /// Makes connections and limits their number.
    connections: PgPool,
    options: PgConnectOptions,
    pooler: Pooler,
    /// `None` for a Unix socket, which needs no dialling.
    forwarder: Option<Forwarder>,
    acquire_timeout: Duration,
    size: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: PoolConnection<Postgres>,
    since: SystemTime,
}

/// A connection lent by the pool. Dropped, it is closed: only [`Lease::settle`] and
/// [`Lease::give_back`] know that it is between two statements.
#[derive(Debug)]
pub(super) struct Lease {
    /// Taken when the lease ends.
    connection: Option<PoolConnection<Postgres>>,
    pooler: Pooler,
    doubtful: bool,
    idle: Arc<Mutex<Vec<Idle>>>,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(
        options: PgConnectOptions,
        pooler: Pooler,
        config: &DatabaseConfig,
    ) -> Result<Self, DatabaseError> {
        let (options, forwarder) = through_forwarder(options, config)?;
        let connections = pool_options(pooler, config).connect_lazy_with(options.clone());
        Ok(Self {
            connections,
            options,
            pooler,
            forwarder,
            acquire_timeout: config.acquire_timeout,
            size: config.connections,
            permits: Arc::new(Semaphore::new(config.connections as usize)),
            idle: Arc::default(),
        })
    }

    /// What stands between here and the server.
    pub(super) fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Lends the connection that was used last, or a new one if none is idle.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let deadline = Instant::now() + self.acquire_timeout;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return Err(DatabaseError::Busy);
        };
        let idle = lock(&self.idle).pop();
        let (connection, doubtful) = match idle {
            Some(Idle { connection, since }) => (connection, has_passed(TRUSTED, since)),
            None => (self.connect_pooled(deadline).await?, false),
        };
        Ok(Lease {
            connection: Some(connection),
            pooler: self.pooler,
            doubtful,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    /// A connection outside the pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        match timeout(self.acquire_timeout, self.options.connect()).await {
            Ok(outcome) => outcome.map_err(|error| self.explain(&error)),
            Err(_) => Err(self.unfinished()),
        }
    }

    /// Forgets the idle connections: one that was lost tells that they may be too. They are dropped,
    /// not closed, since closing waits for a server that may be gone.
    pub(super) fn forget_idle(&self) {
        for Idle { connection, .. } in mem::take(&mut *lock(&self.idle)) {
            drop(connection.detach());
        }
    }

    /// Closes every connection with a word to the server.
    pub(super) async fn close(&self) {
        let close = async {
            // Whoever still has a connection gives it back first.
            let _all = self.permits.acquire_many(self.size).await;
            let idle = mem::take(&mut *lock(&self.idle));
            for Idle { connection, .. } in idle {
                let _ = connection.close().await;
            }
            self.connections.close().await;
        };
        // A connection that does not answer must not keep the process from ending.
        let _ = timeout(CLOSE_LIMIT, close).await;
        if let Some(forwarder) = &self.forwarder {
            forwarder.drain().await;
        }
    }

    /// A new connection of sqlx's pool, which asks a server that is full or starting again until
    /// `deadline` and then says only that time ran out: one more try tells the cause.
    async fn connect_pooled(
        &self,
        deadline: Instant,
    ) -> Result<PoolConnection<Postgres>, DatabaseError> {
        match timeout_at(deadline, self.connections.acquire()).await {
            Ok(Err(error)) if !matches!(error, sqlx::Error::PoolTimedOut) => {
                return Err(self.explain(&error));
            }
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(_)) | Err(_) => {}
        }
        match timeout(EXPLANATION_LIMIT, self.options.connect()).await {
            Ok(Err(cause)) => Err(self.explain(&cause)),
            _ => Err(self.unfinished()),
        }
    }

    fn explain(&self, error: &sqlx::Error) -> DatabaseError {
        let dial = self.forwarder.as_ref().and_then(Forwarder::last_failure);
        DatabaseError::connecting(error, dial)
    }

    fn unfinished(&self) -> DatabaseError {
        DatabaseError::Unavailable {
            cause: Cause::Timeout,
            detail: format!(
                "{}:{} did not finish the connection within {} ms",
                self.options.get_host(),
                self.options.get_port(),
                self.acquire_timeout.as_millis()
            ),
        }
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        self.connection
            .as_mut()
            .expect("the connection is taken only when the lease ends")
    }

    /// What stands between here and the server.
    pub(super) fn pooler(&self) -> Pooler {
        self.pooler
    }

    /// Whether the connection was idle for so long that it may have died without a word.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Gives the connection back, unless `outcome` says that it is lost. An error of the server leaves
    /// it usable.
    pub(super) fn settle<T>(self, outcome: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        if !matches!(outcome, Err(DatabaseError::Lost(_))) {
            self.give_back();
        }
        outcome
    }

    /// Gives the connection back, to be used again.
    pub(super) fn give_back(mut self) {
        if let Some(connection) = self.connection.take() {
            lock(&self.idle).push(Idle {
                connection,
                since: SystemTime::now(),
            });
        }
    }
}

impl Drop for Lease {
    /// Out of the pool and closed at once: whoever did not give it back left it in the middle of something.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(connection.detach());
        }
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pool_options(pooler: Pooler, config: &DatabaseConfig) -> PgPoolOptions {
    let pool = PgPoolOptions::new()
        .max_connections(config.connections)
        .min_connections(0)
        .acquire_timeout(config.acquire_timeout)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    if pooler != Pooler::Session {
        return pool;
    }
    // A pooler refuses these as startup options.
    let settings = format!(
        "SET statement_timeout = {}; SET jit = off",
        config.statement_timeout.as_millis()
    );
    pool.after_connect(move |connection, _| {
        let settings = settings.clone();
        Box::pin(async move { connection.execute(AssertSqlSafe(settings)).await.map(drop) })
    })
}

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
            detail: format!("no Unix socket can be made: {error}"),
        })?;
    Ok((options.socket(forwarder.address()), Some(forwarder)))
}
