//! Bulk imports: their queue, and where their pieces are kept.

use std::{fs, path::PathBuf, time::Duration};

use settings::{ConfigError, milliseconds, number, optional, required};

/// The settings of bulk imports.
#[derive(Clone, Debug)]
pub struct ImportConfig {
    /// The address of the queue, as SQS gives it.
    pub queue_url: String,
    /// The bucket for the pieces of compressed objects.
    pub bucket: String,
    /// How often a message is received before the queue gives it up: its `maxReceiveCount`.
    pub max_receives: i32,
    /// How long a worker may be silent before its part is given to another one.
    pub lease: Duration,
    /// The folder of this machine whose files may be sources; none may without one.
    pub root: Option<PathBuf>,
    /// The region of the queue and the buckets.
    pub region: String,
}

impl ImportConfig {
    /// Reads `IMPORT_QUEUE_URL` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            queue_url: required("IMPORT_QUEUE_URL", "the address of the queue of imports")?,
            bucket: required(
                "IMPORT_BUCKET",
                "the bucket for the pieces of compressed imports",
            )?,
            max_receives: number(
                "IMPORT_MAX_RECEIVES",
                5,
                "must be a whole number from 2 to 1000: the queue's maxReceiveCount",
                |n| (2..=1000).contains(n),
            )?,
            lease: milliseconds("IMPORT_LEASE_MS", 120_000)?,
            root: root()?,
            region: required(
                "AWS_REGION",
                "the region of the queue and the buckets, which Lambda sets",
            )?,
        })
    }
}

fn root() -> Result<Option<PathBuf>, ConfigError> {
    let variable = "IMPORT_ROOT";
    let resolved = |value: String| {
        fs::canonicalize(&value).map_err(|_| ConfigError::Invalid {
            variable,
            value,
            expected: "must be a folder, whose files may be imported",
        })
    };
    optional(variable).map(resolved).transpose()
}
