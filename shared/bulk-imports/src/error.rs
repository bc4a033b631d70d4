//! Why an import was not accepted, or cannot be asked about.

use aws::AwsError;
use database::DatabaseError;
use json::FieldError;

/// Why a request about an import failed.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The request's source is not there, empty, or may not be read.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// No import has this id.
    #[error("no import has the id {0:?}")]
    Unknown(String),
    /// The queue did not take a message.
    #[error("the queue of imports did not take a message")]
    Queue(#[source] AwsError),
    /// The store that holds the object did not answer.
    #[error("the object's store did not answer: {0}")]
    Storage(String),
    /// The database is away or refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
