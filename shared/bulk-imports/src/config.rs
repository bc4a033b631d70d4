//! Settings of bulk imports: queue, bucket, lease.

use std::{fs, path::PathBuf, time::Duration};

use settings::{ConfigError, milliseconds, number, optional, required};

/// Settings of bulk imports.
#[derive(Clone, Debug)]
pub struct ImportConfig {
    /// The queue's URL.
    pub queue_url: String,
    /// The bucket for pieces of compressed objects.
    pub bucket: String,
    /// The queue's `maxReceiveCount`: deliveries before a message moves to the dead-letter queue.
    pub max_receives: i32,
    /// The lease: how long a silent worker keeps its part.
    pub lease: Duration,
    /// The local folder whose files may be imported; `None` allows no files.
    pub root: Option<PathBuf>,
    /// The AWS region of queue and buckets.
    pub region: String,
    /// Whether tokens are accepted, so that every caller is known: what a caller without key and tenant uses is counted too.
    pub has_tokens: bool,
}

impl ImportConfig {
    /// Reads `IMPORT_QUEUE_URL` and the related settings.
    ///
    /// # Errors
    /// Names the first variable that is missing or invalid.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            queue_url: required("IMPORT_QUEUE_URL", "the URL of the import queue")?,
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
            has_tokens: optional("AUTHORIZATION").is_some_and(|mode| mode.contains("jwt")),
        })
    }
}

fn root() -> Result<Option<PathBuf>, ConfigError> {
    let variable = "IMPORT_ROOT";
    let resolved = |value: String| {
        fs::canonicalize(&value).map_err(|_| ConfigError::Invalid {
            variable,
            value,
            expected: "must be an existing folder",
        })
    };
    optional(variable).map(resolved).transpose()
}
