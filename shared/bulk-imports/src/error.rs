//! Errors of requests about imports.

use aws::AwsError;
use database::DatabaseError;
use json::FieldError;

/// Why a request about an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The source is missing, empty or unreadable.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// No import has this id.
    #[error("no import has the id {0:?}")]
    Unknown(String),
    /// SQS did not accept a message.
    #[error("the import queue did not accept a message")]
    Queue(#[source] AwsError),
    /// The object store did not respond.
    #[error("the object store did not respond: {0}")]
    Storage(String),
    /// The database is unavailable or rejected the statement.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
