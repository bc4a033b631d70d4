//! The settings of the worker.

use std::time::Duration;

use settings::{ConfigError, milliseconds, number};

/// The settings of the worker.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// The most workers at a time.
    pub workers: i64,
    /// How long a worker may be silent before another one gets its keys.
    pub lease: Duration,
}

impl SyncConfig {
    /// Reads `SYNC_CONCURRENCY` and `SYNC_LEASE_MS`.
    ///
    /// # Errors
    /// Names the first invalid variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            workers: number(
                "SYNC_CONCURRENCY",
                2,
                "must be a whole number from 1 to 100",
                |n| (1..=100).contains(n),
            )?,
            lease: milliseconds("SYNC_LEASE_MS", 120_000)?,
        })
    }
}
