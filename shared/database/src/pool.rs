//! The pool: connections that wait between two uses, and a limit of their number.
//!
//! sqlx's own pool would ask a connection that is given back for a sign of life: a round trip after every
//! request, in the middle of which Lambda freezes the sandbox, and one without a limit, so that a
//! connection that went silent blocks a pool of one for good.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};

use super::{
    DatabaseError, Pooler, Standing,
    backend::Backend,
    deadline::has_passed,
    route::{Connected, Route},
};
use crate::DatabaseConfig;

/// How long after its last answer a connection is taken to be alive: a function that is busy pays
/// nothing for doubts, and one that was frozen, be it for moments, has them.
const TRUSTED: Duration = Duration::from_secs(2);

/// The time that closing may take of the 500 ms that Lambda leaves a process after SIGTERM.
const CLOSE_LIMIT: Duration = Duration::from_millis(250);

/// Connections to one server.
#[derive(Debug)]
pub(super) struct Pool {
    route: Route,
    acquire_timeout: Duration,
    size: u32,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connected: Connected,
    since: SystemTime,
}

/// A connection lent by the pool. Dropped, it is closed: only [`Lease::settle`] and
/// [`Lease::give_back`] know that it is between two statements.
#[derive(Debug)]
pub(super) struct Lease {
    /// Taken when the lease ends.
    connected: Option<Connected>,
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
        Ok(Self {
            route: Route::new(options, pooler, config)?,
            acquire_timeout: config.acquire_timeout,
            size: config.connections,
            permits: Arc::new(Semaphore::new(config.connections as usize)),
            idle: Arc::default(),
        })
    }

    /// What stands between here and the server, as far as it is known.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.route.standing()
    }

    /// Sends no named statement any more: a pooler showed itself.
    pub(super) fn distrust(&self) {
        self.route.distrust();
        self.forget_idle();
    }

    /// Lends the connection that was used last, or a new one if none is idle.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let deadline = Instant::now() + self.acquire_timeout;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return Err(DatabaseError::Busy);
        };
        let idle = lock(&self.idle).pop();
        let (connected, doubtful) = match idle {
            Some(Idle { connected, since }) => (connected, has_passed(TRUSTED, since)),
            // On the heap: what is hardly ever needed must not make each request larger.
            None => (Box::pin(self.route.connect(deadline)).await?, false),
        };
        Ok(Lease {
            connected: Some(connected),
            doubtful,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        })
    }

    /// A connection outside the pool.
    pub(super) async fn connect(&self) -> Result<Connected, DatabaseError> {
        Box::pin(self.route.connect(Instant::now() + self.acquire_timeout)).await
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
            for Idle { connected, .. } in idle {
                let _ = connected.connection.close().await;
            }
            // A request that comes now finds no connection.
            self.permits.close();
        };
        // A connection that does not answer must not keep the process from ending.
        let _ = timeout(CLOSE_LIMIT, close).await;
        self.route.drain().await;
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connected_mut().connection
    }

    /// What stands between here and the server.
    pub(super) fn standing(&self) -> Standing {
        self.connected().standing
    }

    /// The process at the other end, where no pooler is in between.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.connected().backend.as_ref()
    }

    /// Drops the connection, and the idle ones, which lead to the same server.
    pub(super) fn condemn(self) {
        lock(&self.idle).clear();
    }

    /// Whether the connection was idle for so long that it may have died without a word.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Gives the connection back, unless `outcome` says that it is of no use any more. Most errors of the
    /// server leave it usable.
    pub(super) fn settle<T>(self, outcome: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        match &outcome {
            Err(error) if error.ends_connection() => drop(self),
            _ => self.give_back(),
        }
        outcome
    }

    /// Gives the connection back, to be used again.
    pub(super) fn give_back(mut self) {
        if let Some(connected) = self.connected.take() {
            lock(&self.idle).push(Idle {
                connected,
                since: SystemTime::now(),
            });
        }
    }

    fn connected(&self) -> &Connected {
        self.connected.as_ref().expect(TAKEN_AT_THE_END)
    }

    fn connected_mut(&mut self) -> &mut Connected {
        self.connected.as_mut().expect(TAKEN_AT_THE_END)
    }
}

const TAKEN_AT_THE_END: &str = "the connection is taken only when the lease ends";

fn lock(idle: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
