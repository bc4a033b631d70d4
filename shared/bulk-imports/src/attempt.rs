//! The outcome of an attempt at a piece of work.

use database::DatabaseError;
use telemetry::chain;

use super::source::ReadError;

/// Why an attempt failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// Permanent: it fails the whole import. The text is shown to its caller.
    #[error("{0}")]
    Import(String),
    /// The same for an object that is one document; the text may quote it and is not logged.
    #[error("the object cannot be read as a document")]
    File(String),
    /// Possibly transient.
    #[error("{reason}")]
    Failed {
        /// Shown to the import's caller if retries fail too.
        reason: &'static str,
        /// The cause, for the log.
        #[source]
        cause: Option<Cause>,
    },
    /// The database is unavailable or rejected the statement.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Another worker holds the lease, or the import has ended.
    #[error("the lease is held by another worker")]
    LeaseLost,
}

/// A cause that is only logged.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Cause(String);

/// The outcome of an attempt that did not fail.
pub(super) enum Attempt {
    /// It is done.
    Done,
    /// Out of time; the rest is still to do.
    Unfinished,
    /// Recorded as failed after its last attempt; the message goes to the dead-letter queue.
    DeadLetter,
    /// Failed; to be retried.
    Retry,
}

/// Maximum length of a stored reason, in characters.
const REASON: usize = 500;

impl From<ReadError> for WorkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing | ReadError::Changed => Self::Import(error.to_string()),
            ReadError::Refused(cause) => Self::failed(
                "access to the object is denied: the functions need s3:GetObject on it",
                cause,
            ),
            ReadError::Away(cause) => Self::failed("the object store did not respond", cause),
        }
    }
}

impl WorkError {
    /// A possibly transient failure; the cause is only logged.
    pub(super) fn failed(reason: &'static str, cause: impl Into<String>) -> Self {
        Self::Failed {
            reason,
            cause: Some(Cause(cause.into())),
        }
    }
}

/// The reason, for the caller, why the database did not store a document. Logs the cause.
pub(super) fn not_stored(error: &DatabaseError) -> String {
    tracing::warn!(cause = %chain(error), "cannot store a document of an import");
    match error {
        DatabaseError::Value(code) => {
            format!("the database rejected one of its values (SQLSTATE {code})")
        }
        DatabaseError::Invisible => {
            "it is, or would be, outside of the filter that the caller is held to".to_owned()
        }
        DatabaseError::StatementTimeout => "storing it exceeded the statement timeout".to_owned(),
        _ => "the database rejected it; see the log for the cause".to_owned(),
    }
}

/// Truncates a reason to the stored length.
pub(super) fn reason(text: &str) -> String {
    text.chars().take(REASON).collect()
}
