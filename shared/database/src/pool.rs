//! The pool: idle connections, and a limit of their number.
//!
//! sqlx's own pool pings a returned connection: a round trip after every request, during which Lambda freezes the
//! sandbox, and without a timeout, so a silent connection blocks a pool of one forever.

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

/// How long after its last answer a connection is presumed alive: a busy function pays for no checks, and one that
/// was frozen, even briefly, checks.
const TRUSTED: Duration = Duration::from_secs(2);

/// The time to close, of the 500 ms that Lambda leaves a process after SIGTERM.
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

/// A connection lent by the pool. Dropping it closes it: only [`Lease::settle`] and [`Lease::give_back`] know that it
/// is between two statements.
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

    /// The detected pooler and its proof, if known.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.route.standing()
    }

    /// Stops sending named statements, after a pooler was detected.
    pub(super) fn distrust(&self) {
        self.route.distrust();
        self.forget_idle();
    }

    /// Lends the most recently used connection, or a new one if none is idle.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let deadline = Instant::now() + self.acquire_timeout;
        let permit = timeout_at(deadline, Arc::clone(&self.permits).acquire_owned());
        let Ok(Ok(permit)) = permit.await else {
            return Err(DatabaseError::Busy);
        };
        let idle = lock(&self.idle).pop();
        let (connected, doubtful) = match idle {
            Some(Idle { connected, since }) => (connected, has_passed(TRUSTED, since)),
            // On the heap: rare paths must not enlarge every request's future.
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

    /// Drops the idle connections: after one was lost, they may be dead too. They are not closed, since that waits
    /// for a server that may be gone.
    pub(super) fn forget_idle(&self) {
        lock(&self.idle).clear();
    }

    /// Closes every connection, with a Terminate message.
    pub(super) async fn close(&self) {
        let close = async {
            // Waits until every lease is returned.
            let _all = self.permits.acquire_many(self.size).await;
            let idle = mem::take(&mut *lock(&self.idle));
            for Idle { connected, .. } in idle {
                let _ = connected.connection.close().await;
            }
            // Later requests get no connection.
            self.permits.close();
        };
        // A silent connection must not keep the process from ending.
        let _ = timeout(CLOSE_LIMIT, close).await;
        self.route.drain().await;
    }
}

impl Lease {
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connected_mut().connection
    }

    /// The detected pooler and its proof.
    pub(super) fn standing(&self) -> Standing {
        self.connected().standing
    }

    /// The server process, if no pooler is in between.
    pub(super) fn backend(&self) -> Option<&Backend> {
        self.connected().backend.as_ref()
    }

    /// Drops the connection, and the idle ones, which lead to the same server.
    pub(super) fn condemn(self) {
        lock(&self.idle).clear();
    }

    /// Whether the connection was idle so long that it may have died silently.
    pub(super) fn is_doubtful(&self) -> bool {
        self.doubtful
    }

    /// Returns the connection, unless `outcome` makes it unusable. Most server errors do not.
    pub(super) fn settle<T>(self, outcome: Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        match &outcome {
            Err(error) if error.ends_connection() => drop(self),
            _ => self.give_back(),
        }
        outcome
    }

    /// Returns the connection for reuse.
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
