//! The pool in use: built of the settings or, if AWS keeps the login, once that has been fetched, and
//! built anew when its password has been rotated.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use telemetry::{self, Part};

use super::{
    DatabaseError, Standing,
    deadline::has_passed,
    login::{Login, Source},
    options,
    pool::{Lease, Pool},
    route::Connected,
};
use crate::DatabaseConfig;

/// The pause between two questions to AWS for another login than the one that was refused: that of
/// `Retry-After`, so that whoever waits as told finds the answer asked for again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// The way to the pool in use.
#[derive(Debug)]
pub(super) struct Current {
    config: DatabaseConfig,
    source: Source,
    /// `None` until the login has been fetched.
    built: Mutex<Option<Arc<Built>>>,
    /// Held while AWS is asked, and when it was last asked for another login.
    asked: tokio::sync::Mutex<Option<SystemTime>>,
}

#[derive(Debug)]
struct Built {
    login: Login,
    pool: Pool,
}

impl Current {
    /// Builds the pool, if the settings say all that it needs; no connection is made.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub(super) fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let source = Source::new(config)?;
        let given = source.given().map(|login| Built::new(config, login));
        Ok(Self {
            config: config.clone(),
            source,
            built: Mutex::new(given.transpose()?),
            asked: tokio::sync::Mutex::default(),
        })
    }

    /// What stands between here and the server; `None` as long as that is not known.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.peek().and_then(|built| built.pool.standing())
    }

    /// Sends no named statement any more: a pooler showed itself.
    pub(super) fn distrust(&self) {
        if let Some(built) = self.peek() {
            built.pool.distrust();
        }
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// When none can be had, or the login not be fetched.
    pub(super) async fn lease(&self) -> Result<Lease, DatabaseError> {
        let _measured = telemetry::measure(Part::Acquire);
        let built = self.built().await?;
        let lease = match built.pool.lease().await {
            // On the heap, as below: what is hardly ever needed must not make each request larger.
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

    /// Forgets the idle connections.
    pub(super) fn forget_idle(&self) {
        if let Some(built) = self.peek() {
            built.pool.forget_idle();
        }
    }

    /// Closes every connection with a word to the server.
    pub(super) async fn close(&self) {
        if let Some(built) = self.peek() {
            built.pool.close().await;
        }
    }

    /// What is built, or can be now.
    async fn built(&self) -> Result<Arc<Built>, DatabaseError> {
        if let Some(built) = self.peek() {
            return Ok(built);
        }
        Box::pin(async {
            // Of requests that come together one asks AWS.
            let _asking = self.asked.lock().await;
            match self.peek() {
                Some(built) => Ok(built),
                None => self.replace(self.fetch().await?),
            }
        })
        .await
    }

    /// What to use instead of `refused`, if `error` says that the server refuses its login and AWS keeps
    /// another one by now. Connections that stand already are not touched: Postgres asks for the
    /// password once.
    ///
    /// # Errors
    /// `error`, if there is nothing else to use.
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
                tracing::info!(
                    "the login was refused and has been replaced since: using the new one"
                );
                self.replace(login)
            }
            Ok(_) => Err(error),
            Err(cause) => {
                tracing::warn!(%cause, "the login was refused, and whether there is another one is unknown");
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
