//! The current pool: built from the settings or, if AWS keeps the login, once it is fetched, and rebuilt after a
//! password rotation.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use telemetry::{self, Phase};

use super::{
    DatabaseError, Standing,
    deadline::has_passed,
    login::{Login, LoginSource},
    options,
    pool::{Lease, Pool},
    route::Connected,
};
use crate::DatabaseConfig;

/// The pause between two fetches of a new login after a refused one. It equals `Retry-After`, so a client that
/// retries as told gets a fresh fetch.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// The current pool and the means to rebuild it.
#[derive(Debug)]
pub(super) struct Current {
    config: DatabaseConfig,
    source: LoginSource,
    /// `None` until the login has been fetched.
    built: Mutex<Option<Arc<Built>>>,
    /// Held during a fetch from AWS; the time of the last fetch of a new login.
    asked: tokio::sync::Mutex<Option<SystemTime>>,
}

#[derive(Debug)]
struct Built {
    login: Login,
    pool: Pool,
}

impl Current {
    /// Builds the pool if the settings suffice; opens no connection.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let source = LoginSource::new(config)?;
        let given = source.given().map(|login| Built::new(config, login));
        Ok(Self {
            config: config.clone(),
            source,
            built: Mutex::new(given.transpose()?),
            asked: tokio::sync::Mutex::default(),
        })
    }

    /// The detected pooler and its proof; `None` until known.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.peek().and_then(|built| built.pool.standing())
    }

    /// Stops sending named statements, after a pooler was detected.
    pub(super) fn distrust(&self) {
        if let Some(built) = self.peek() {
            built.pool.distrust();
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// When no connection is available, or the login cannot be fetched.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let _measured = telemetry::measure(Phase::Acquire);
        let built = self.built().await?;
        let lease = match built.pool.lease().await {
            // On the heap, as below: rare paths must not enlarge every request's future.
            Err(error) => {
                Box::pin(async {
                    let built = self.renewed(&built, error).await?;
                    built.pool.lease().await
                })
                .await
            }
            lease => lease,
        }?;
        let standing = lease.standing();
        telemetry::pooler(standing.pooler.word(), standing.proof.word());
        Ok(lease)
    }

    /// A connection outside the pool.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub(super) async fn connect(&self) -> Result<Connected, DatabaseError> {
        let built = self.built().await?;
        match built.pool.connect().await {
            Err(error) => {
                Box::pin(async {
                    let built = self.renewed(&built, error).await?;
                    built.pool.connect().await
                })
                .await
            }
            connection => connection,
        }
    }

    /// Drops the idle connections.
    pub(super) fn forget_idle(&self) {
        if let Some(built) = self.peek() {
            built.pool.forget_idle();
        }
    }

    /// Closes every connection, with a Terminate message.
    pub(super) async fn close(&self) {
        if let Some(built) = self.peek() {
            built.pool.close().await;
        }
    }

    /// The pool, built now if needed.
    async fn built(&self) -> Result<Arc<Built>, DatabaseError> {
        if let Some(built) = self.peek() {
            return Ok(built);
        }
        Box::pin(async {
            // Of concurrent requests only one asks AWS.
            let _asking = self.asked.lock().await;
            match self.peek() {
                Some(built) => Ok(built),
                None => self.replace(self.fetch().await?),
            }
        })
        .await
    }

    /// The replacement of `refused`, if `error` is a refused login and AWS has a new one by now. Open connections
    /// stay: Postgres checks the password only at connect.
    ///
    /// # Errors
    /// `error`, if there is no replacement.
    async fn renewed(
        &self,
        refused: &Arc<Built>,
        error: DatabaseError,
    ) -> Result<Arc<Built>, DatabaseError> {
        if !error.is_refused_login() || self.source.given().is_some() {
            return Err(error);
        }
        let mut asked = self.asked.lock().await;
        if let Some(built) = self.peek().filter(|built| !Arc::ptr_eq(built, refused)) {
            return Ok(built);
        }
        if asked.is_some_and(|asked| !has_passed(RENEWAL_PAUSE, asked)) {
            return Err(error);
        }
        let fetched = self.fetch().await;
        *asked = Some(SystemTime::now());
        match fetched {
            Ok(login) if login != refused.login => {
                tracing::info!("the login was rejected and has been rotated: using the new one");
                self.replace(login)
            }
            Ok(_) => Err(error),
            Err(cause) => {
                tracing::warn!(%cause, "the login was rejected, and the current one cannot be fetched");
                Err(error)
            }
        }
    }

    async fn fetch(&self) -> Result<Login, DatabaseError> {
        self.source.fetch(self.config.acquire_timeout).await
    }

    fn replace(&self, login: Login) -> Result<Arc<Built>, DatabaseError> {
        let built = Built::new(&self.config, login)?;
        *self.lock() = Some(Arc::clone(&built));
        Ok(built)
    }

    fn peek(&self) -> Option<Arc<Built>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Built>>> {
        self.built.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Built {
    fn new(config: &DatabaseConfig, login: Login) -> Result<Arc<Self>, DatabaseError> {
        let (options, pooler) = options::of(config, &login)?;
        let pool = Pool::new(options, pooler, config)?;
        Ok(Arc::new(Self { login, pool }))
    }
}
