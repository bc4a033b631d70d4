//! What a sandbox keeps between requests: each function has a type for it, built once.

use std::sync::Arc;

use database::{Cause, Database, DatabaseConfig, DatabaseError};
use document_store::ALL_TENANTS;

/// The state of a function, shared by all its requests.
pub trait State: Clone + Send + Sync + 'static {
    /// Reads the settings of the function called `function`, without I/O to the database.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    fn from_env(function: &str) -> Result<Self, lambda_http::Error>;

    /// Makes the first connection, and loads what requests need, while Lambda still counts the time as Init.
    ///
    /// # Errors
    /// When the function could never serve a request. An unreachable database is not an error: a request tries again.
    fn warm(&self) -> impl Future<Output = Result<(), lambda_http::Error>> + Send;

    /// The database; closed when the sandbox ends.
    fn database(&self) -> &Database;
}

/// The state of a function that needs only the database.
#[derive(Clone, Debug)]
pub struct DatabaseState {
    database: Arc<Database>,
}

impl DatabaseState {
    /// The state of a function that works for all tenants.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn for_all_tenants(function: &str) -> Result<Self, lambda_http::Error> {
        let config = DatabaseConfig {
            settings: ALL_TENANTS,
            ..DatabaseConfig::from_env(function)?
        };
        Ok(Self {
            database: Arc::new(Database::new(&config)?),
        })
    }
}

impl State for DatabaseState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        Ok(Self {
            database: Arc::new(Database::new(&DatabaseConfig::from_env(function)?)?),
        })
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        Ok(can_start(self.database.warm().await)?)
    }

    fn database(&self) -> &Database {
        &self.database
    }
}

/// Whether a function may start after the `outcome` of its first connection: later requests may reach the database.
///
/// # Errors
/// When another model embedded the database, or `DATABASE_POOLER` denies a pooler that exists.
pub fn can_start(outcome: Result<(), DatabaseError>) -> Result<(), DatabaseError> {
    match outcome {
        Err(
            wrong @ (DatabaseError::ModelMismatch(_)
            | DatabaseError::Unavailable {
                cause: Cause::Pooler,
                ..
            }),
        ) => Err(wrong),
        Err(error) => {
            tracing::warn!(%error, "the database did not respond at start; requests will retry");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
