//! What a sandbox keeps between invocations.

use std::{
    env, mem,
    time::{Duration, Instant},
};

use database::{Cause, Database, DatabaseConfig, DatabaseError};
use embedder::{Manifest, ModelConfig};
use lambda_runtime::{Error, tracing};
use migrations::{self, Index, IndexConfig, Report};
use retrieval::SearchConfig;
use tokio::time::sleep;

/// The database that is brought up to date, and the model that its schema is for.
pub(crate) struct State {
    database: Database,
    /// The functions' own login, if another one changes the schema.
    served: Option<Database>,
    index: IndexConfig,
    manifest: Manifest,
    /// The share of the nearest passages that searches are to find.
    recall: f64,
    /// How long a deploy waits for the database.
    patience: Duration,
}

/// A paused Aurora takes half a minute to wake.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a deploy waits for a login to be accepted.
const LOGIN_PATIENCE: Duration = Duration::from_secs(15);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

impl State {
    /// Reads the settings and the model's manifest.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let mut functions = DatabaseConfig::from_env("migrate")?;
        let is_set = env::var_os("DATABASE_WAKE_TIMEOUT_MS").is_some_and(|value| !value.is_empty());
        // The work as a whole is tried again, the login's secret included: see `migrate_when_awake`.
        let wake_timeout = mem::take(&mut functions.wake_timeout);
        let patience = if is_set { wake_timeout } else { PATIENCE };
        let (database, served) = match functions.for_migration() {
            Some(migration) => (Database::new(&migration)?, Some(Database::new(&functions)?)),
            None => (Database::new(&functions)?, None),
        };
        Ok(Self {
            database,
            served,
            index: IndexConfig::from_env()?,
            manifest: Manifest::read(&ModelConfig::from_env()?.folder)?,
            patience,
            recall: SearchConfig::from_env()?.recall,
        })
    }

    /// Brings the schema up to date, and lets the functions' role use it.
    pub(crate) async fn migrate(&self) -> Result<Report, DatabaseError> {
        // On the heap: what migrates is large, and is moved through all that wait for it.
        let report = Box::pin(migrations::migrate(&self.database, &self.manifest)).await?;
        if let Some(served) = &self.served {
            let role = migrations::role(served).await?;
            migrations::grant(&self.database, &role).await?;
            // Both logins lead to one database, and the grants suffice.
            migrations::require(served).await?;
        }
        migrations::tidy_statistics(&self.database).await?;
        Ok(report)
    }

    /// Builds the index unless it is there, and measures it.
    pub(crate) async fn build_index(&self) -> Result<Index, DatabaseError> {
        let index = Box::pin(migrations::build_index(&self.database, &self.index)).await?;
        if index == Index::Valid {
            migrations::measure_recall(&self.database, self.recall).await?;
        }
        Ok(index)
    }

    /// The same for a deploy, which may come seconds after the database and the role that may read its secret: what
    /// may pass is tried again for as long as `DATABASE_WAKE_TIMEOUT_MS` says, or two minutes.
    pub(crate) async fn migrate_when_awake(&self) -> Result<Report, DatabaseError> {
        let began = Instant::now();
        loop {
            match self.migrate().await {
                Err(error) if began.elapsed() < self.patience(&error) => {
                    tracing::warn!(cause = %error, "the database is not ready; trying again");
                    sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn patience(&self, error: &DatabaseError) -> Duration {
        match error {
            DatabaseError::Unavailable { cause, .. } => match cause {
                // A wrong setting stays wrong.
                Cause::Settings | Cause::Ipv6Only | Cause::Tls | Cause::UnknownDatabase => {
                    Duration::ZERO
                }
                // A wrong password too, but a right that was just granted takes seconds to be known everywhere.
                Cause::Authentication | Cause::Server => self.patience.min(LOGIN_PATIENCE),
                _ => self.patience,
            },
            DatabaseError::Lost(_) | DatabaseError::Busy => self.patience,
            _ => Duration::ZERO,
        }
    }

    /// Ends its connections.
    pub(crate) async fn close(&self) {
        self.database.close().await;
        if let Some(served) = &self.served {
            served.close().await;
        }
    }
}
