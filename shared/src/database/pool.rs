//! The pool: connections that wait to be used again, lent to one statement or transaction at a time.
//!
//! It is our own because sqlx's pool asks each connection on its way back for a sign of life: a round
//! trip after every request, in the middle of which Lambda freezes the sandbox, and one without a limit,
//! so that a connection that went silent blocks a pool of one for good.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    postgres::PgConnectOptions,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{Cause, DatabaseError, Pooler, dial::Endpoint, forwarder::Forwarder};
use crate::config::DatabaseConfig;

/// How long after its last answer a connection is taken to be alive: a function that is busy pays
/// nothing for doubts, and one that was frozen, be it for moments, has them.
const TRUSTED: Duration = Duration::from_secs(2);

/// The time that closing may take of the 500 ms that Lambda leaves a process after SIGTERM.
const CLOSE_LIMIT: Duration = Duration::from_millis(250);

/// The first pause before a server that is full or starting is asked again; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    options: PgConnectOptions,
    /// What a new connection runs first, where startup options are refused.
    settings: Option<String>,
    /// `None` for a Unix socket, which needs no dialling.
    forwarder: Option<Forwarder>,
    acquire_timeout: Duration,
    size: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: PgConnection,
    since: SystemTime,
}

/// A connection lent by the pool. Dropped, it is closed: only [`Lease::settle`] and
/// [`Lease::give_back`] know that it is between two statements.
#[derive(Debug)]
pub(super) struct Lease {
    connection: PgConnection,
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
        let settings = (pooler == Pooler::Session).then(|| {
            format!(
                "SET statement_timeout = {}; SET jit = off",
                config.statement_timeout.as_millis()
            )
        });
        Ok(Self {
            options,
            settings,
            forwarder,
            acquire_timeout: config.acquire_timeout,
            size: config.connections,
            permits: Arc::new(Semaphore::new(config.connections as usize)),
            idle: Arc::default(),
        })
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
            Some(Idle { connection, since }) => (connection, is_doubtful(since)),
            None => (self.connect_until(deadline).await?, false),
        };
        Ok(Lease {
            connection,
            doubtful,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    /// A connection outside the pool.
    pub(super) async fn connect(&self) -> Result<PgConnection, DatabaseError> {
        self.connect_until(Instant::now() + self.acquire_timeout)
            .await
    }

    /// Forgets the idle connections: one that was lost tells that they may be too. They are dropped,
    /// not closed, since closing waits for a server that may be gone.
    pub(super) fn forget_idle(&self) {
        lock(&self.idle).clear();
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
        };
        // A connection that does not answer must not keep the process from ending.
        let _ = timeout(CLOSE_LIMIT, close).await;
        if let Some(forwarder) = &self.forwarder {
            forwarder.drain().await;
        }
    }

    /// Connects, and asks a server that is full or starting again until `deadline`.
    async fn connect_until(&self, deadline: Instant) -> Result<PgConnection, DatabaseError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let failure = match timeout_at(deadline, self.try_connect()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    return Err(DatabaseError::Unavailable {
                        cause: Cause::Timeout,
                        detail: format!(
                            "{}:{} did not finish the connection within {} ms",
                            self.options.get_host(),
                            self.options.get_port(),
                            self.acquire_timeout.as_millis()
                        ),
                    });
                }
            };
            if !failure.is_passing() || Instant::now() + pause >= deadline {
                return Err(failure);
            }
            sleep(pause).await;
            pause *= 2;
        }
    }

    async fn try_connect(&self) -> Result<PgConnection, DatabaseError> {
        let connect = async {
            let mut connection = self.options.connect().await?;
            if let Some(settings) = &self.settings {
                connection.execute(AssertSqlSafe(settings.clone())).await?;
            }
            Ok(connection)
        };
        connect.await.map_err(|error| {
            let dial = self.forwarder.as_ref().and_then(Forwarder::last_failure);
            DatabaseError::connecting(&error, dial)
        })
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
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
    pub(super) fn give_back(self) {
        let idle = Idle {
            connection: self.connection,
            since: SystemTime::now(),
        };
        lock(&self.idle).push(idle);
    }
}

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The wall clock goes on while Lambda freezes a sandbox; the monotonic clock may not. A wall clock that
/// was set back says nothing, which is a doubt too.
fn is_doubtful(since: SystemTime) -> bool {
    since.elapsed().map_or(true, |idle| idle > TRUSTED)
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
            detail: format!(
                "no socket can be made in {}: {error}",
                std::env::temp_dir().display()
            ),
        })?;
    Ok((options.socket(forwarder.folder()), Some(forwarder)))
}
