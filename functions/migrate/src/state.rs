//! State kept between invocations.

use std::{
    env, mem,
    time::{Duration, Instant},
};

use database::{Cause, Database, DatabaseConfig, DatabaseError};
use embedder::{Manifest, ModelConfig};
use lambda_runtime::{Error, tracing};
use migrations::{self, Index, IndexConfig, MigrationReport};
use retrieval::SearchConfig;
use tokio::time::{sleep, timeout};

/// The database to migrate, and the model that its schema is for.
pub(crate) struct MigrateState {
    database: Database,
    /// The functions' login, if the migration uses another one.
    served: Option<Database>,
    index: IndexConfig,
    manifest: Manifest,
    /// The target recall of the index.
    recall: f64,
    /// How long a deploy waits for the database.
    patience: Duration,
}

/// A paused Aurora takes half a minute to resume.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a deploy retries a rejected login.
const LOGIN_PATIENCE: Duration = Duration::from_secs(15);

/// Pause between retries.
const PAUSE: Duration = Duration::from_secs(2);

/// The same after waiting in vain for a table's lock: meanwhile requests waited behind the migration.
const LOCK_PAUSE: Duration = Duration::from_secs(10);

/// The time to take back a conversion that was interrupted.
pub(crate) const WITHDRAWAL: Duration = Duration::from_secs(12);

impl MigrateState {
    /// Reads the settings and the model's manifest.
    pub(crate) fn from_env() -> Result<Self, Error> {
        let mut functions = DatabaseConfig::from_env("migrate")?;
        let is_set = env::var_os("DATABASE_WAKE_TIMEOUT_MS").is_some_and(|value| !value.is_empty());
        // `migrate_when_awake` retries everything, reading the login's secret included.
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

    /// Migrates the schema and grants the functions' role access.
    pub(crate) async fn migrate(&self) -> Result<MigrationReport, DatabaseError> {
        // Boxed: the future is large and moves through every caller.
        let report = Box::pin(migrations::migrate(&self.database, &self.manifest)).await?;
        if let Some(served) = &self.served {
            let role = migrations::role(served).await?;
            migrations::grant(&self.database, &role).await?;
            // Verifies that both logins reach the same database and that the grants suffice.
            migrations::require(served).await?;
        }
        migrations::tidy_statistics(&self.database).await?;
        Ok(report)
    }

    /// Builds the index if it is missing, and measures its recall.
    pub(crate) async fn build_index(&self) -> Result<Index, DatabaseError> {
        let index = Box::pin(migrations::build_index(&self.database, &self.index)).await?;
        if index == Index::Valid {
            migrations::measure_recall(&self.database, self.recall, false).await?;
        }
        Ok(index)
    }

    /// [`State::migrate`] for a deploy, which may run seconds after the database and the secret's policy were created:
    /// retries transient errors for `DATABASE_WAKE_TIMEOUT_MS`, or two minutes.
    pub(crate) async fn migrate_when_awake(&self) -> Result<MigrationReport, DatabaseError> {
        let began = Instant::now();
        loop {
            match self.migrate().await {
                Err(error) if began.elapsed() < self.patience(&error) => {
                    tracing::warn!(cause = %error, "the database is not ready; retrying");
                    let is_locked = matches!(error, DatabaseError::Overloaded(_));
                    sleep(if is_locked { LOCK_PAUSE } else { PAUSE }).await;
                }
                outcome => return outcome,
            }
        }
    }

    fn patience(&self, error: &DatabaseError) -> Duration {
        match error {
            DatabaseError::Unavailable { cause, .. } => match cause {
                // An invalid setting does not change.
                Cause::Settings | Cause::Ipv6Only | Cause::Tls | Cause::UnknownDatabase => {
                    Duration::ZERO
                }
                // Neither does a wrong password, but new IAM permissions take seconds to propagate.
                Cause::Authentication | Cause::Server => self.patience.min(LOGIN_PATIENCE),
                _ => self.patience,
            },
            // Overloaded: a transaction that holds a table's lock ends, or a deadlock was lost.
            DatabaseError::Lost(_) | DatabaseError::Busy | DatabaseError::Overloaded(_) => {
                self.patience
            }
            _ => Duration::ZERO,
        }
    }

    /// The outcome of `work`, or `None` if it takes longer than `time`. A conversion is then taken back: otherwise the
    /// version that `CloudFormation` returns to would be refused by the database.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Option<Result<T, DatabaseError>> {
        if let Ok(outcome) = timeout(time, work).await {
            return Some(outcome);
        }
        tracing::error!(seconds = time.as_secs(), "migration timed out");
        match timeout(WITHDRAWAL, migrations::withdraw_conversion(&self.database)).await {
            Ok(Ok(_)) => {}
            Ok(Err(cause)) => tracing::error!(%cause, "a conversion may not be withdrawn"),
            Err(_) => tracing::error!("a conversion may not be withdrawn: no answer"),
        }
        None
    }

    /// Closes its connections.
    pub(crate) async fn close(&self) {
        self.database.close().await;
        if let Some(served) = &self.served {
            served.close().await;
        }
    }
}
