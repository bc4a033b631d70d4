//! How a piece of work ended, and why it did not.

use super::source::ReadError;
use crate::database::DatabaseError;

/// Why a piece of work did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum WorkError {
    /// For a reason that ends the whole import.
    #[error("{0}")]
    Import(String),
    /// For a reason that may pass.
    #[error("{0}")]
    Failed(String),
    /// The database is away or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Another worker has taken it over, or its import has ended.
    #[error("it is in other hands")]
    TakenOver,
}

/// How a piece of work ended that did not fail.
pub(super) enum Ended {
    /// It is done.
    Done,
    /// There was no time for the rest.
    Unfinished,
    /// It failed for the last time, and is written down as failed.
    GivenUp,
    /// It failed, and is to be tried again.
    Again,
}

/// Characters of the longest reason that is kept.
const REASON: usize = 500;

impl From<ReadError> for WorkError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Missing | ReadError::Changed => Self::Import(error.to_string()),
            ReadError::Refused(_) | ReadError::Away(_) => Self::Failed(error.to_string()),
        }
    }
}

/// A reason, as far as it is kept.
pub(super) fn reason(text: &str) -> String {
    text.chars().take(REASON).collect()
}
