//! How an attempt at a piece of work ended.

use database::DatabaseError;
use telemetry::chain;

use super::source::ReadError;

/// Why a piece of work did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// For a reason that ends the whole import; its caller reads it.
    #[error("{0}")]
    Import(String),
    /// For a reason that may pass.
    #[error("{reason}")]
    Failed {
        /// What the import's caller reads if it does not pass.
        reason: &'static str,
        /// Why, for the log.
        #[source]
        cause: Option<Cause>,
    },
    /// The database is away or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Another worker holds the lease, or the import has ended.
    #[error("the lease is held by another worker")]
    LeaseLost,
}

/// A cause that stays in the log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Cause(String);

/// How a piece of work ended that did not fail.
pub(super) enum Attempt {
    /// It is done.
    Done,
    /// There was no time for the rest.
    Unfinished,
    /// It failed for the last time and is recorded as failed; its message goes to the dead-letter queue.
    DeadLetter,
    /// It failed, and is to be tried again.
    Retry,
}

/// Characters of the longest reason that is kept.
const REASON: usize = 500;

impl From<ReadError> for WorkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing | ReadError::Changed => Self::Import(error.to_string()),
            ReadError::Refused(cause) => Self::failed(
                "the object may not be read: the functions need s3:GetObject on it",
                cause,
            ),
            ReadError::Away(cause) => Self::failed("the object's store did not answer", cause),
        }
    }
}

impl WorkError {
    /// A failure that may pass, with a cause for the log alone.
    pub(super) fn failed(reason: &'static str, cause: impl Into<String>) -> Self {
        Self::Failed {
            reason,
            cause: Some(Cause(cause.into())),
        }
    }
}

/// Why the database did not store a document, in words for its caller; the cause is logged here.
pub(super) fn not_stored(error: &DatabaseError) -> String {
    tracing::warn!(cause = %chain(error), "a document of an import cannot be stored");
    match error {
        DatabaseError::Value(code) => {
            format!("the database refused a value of it (SQLSTATE {code})")
        }
        DatabaseError::StatementTimeout => "storing it took the database too long".to_owned(),
        _ => "the database refused it; the log has the cause".to_owned(),
    }
}

/// A reason, as far as it is kept.
pub(super) fn reason(text: &str) -> String {
    text.chars().take(REASON).collect()
}
