//! All errors of a request.

use std::any::Any;

use access::{Denied, KeysError, Quota, Scope};
use aws::AwsError;
use bulk_imports::ImportError;
use database::DatabaseError;
use document_store::ChangeError;
use json::{FieldError, JsonError};
use language_model::LanguageModelError;
use telemetry::chain;
use tokio::task::JoinError;

/// Why a request failed. [`crate::problem`] turns it into the response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not JSON.
    #[error("malformed JSON: {0}")]
    MalformedJson(String),
    /// The request is JSON, but invalid for the route.
    #[error("invalid request: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The path or the query of the URL is not UTF-8.
    #[error("malformed URL: {0}")]
    MalformedUrl(String),
    /// The content type is missing or not JSON.
    #[error("{}", .0.as_ref().map_or_else(|| "the request has no content type".to_owned(), |other| format!("unsupported content type {other:?}")))]
    UnsupportedMediaType(Option<String>),
    /// The body is compressed.
    #[error("the body has the content encoding {0:?}; send it without one")]
    UnsupportedEncoding(String),
    /// The body is too large.
    #[error("the body has {bytes} bytes; the limit is {limit}")]
    BodyTooLarge {
        /// The body's length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The response exceeds Lambda's limit.
    #[error("the response has {bytes} bytes; the limit is {limit}: lower limit or expand")]
    AnswerTooLarge {
        /// The response's length, as Lambda counts it.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The route does not allow the method.
    #[error("the method {method} is not allowed; use {allowed}")]
    Method {
        /// The request's method.
        method: String,
        /// The allowed methods.
        allowed: &'static str,
    },
    /// The request has no valid credentials.
    #[error("{0}")]
    Unauthorized(String),
    /// The caller lacks the scope.
    #[error("the scope {0} is required, which the caller does not have")]
    Scope(Scope),
    /// The caller may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// Unknown keys arrive too fast.
    #[error("too many unknown keys were presented; try again in a second")]
    UnknownKeys,
    /// The caller, or its tenant, has sent too many requests in this minute.
    #[error("the {} may send {} requests a minute; try again in {} s", .0.name, .0.limit, .0.reset)]
    TooManyRequests(Quota),
    /// The issuer of tokens does not answer.
    #[error("the issuer of tokens did not answer: {0}")]
    Issuer(String),
    /// No key has this id.
    #[error("no key has the id {0:?}")]
    NoKey(String),
    /// No document has this id.
    #[error("no document has the id {0:?}")]
    NoDocument(String),
    /// The document with this id is not in a state that `If-Match` or `If-None-Match` allows.
    #[error(
        "the document {0:?} is not in the state that if-match or if-none-match expects; read it again"
    )]
    Unexpected(String),
    /// No import has this id.
    #[error("no import has the id {0:?}")]
    NoImport(String),
    /// No source has this name.
    #[error("no source is named {0:?}")]
    NoSource(String),
    /// The deployment does not follow tables.
    #[error("followed tables are disabled: deploy with the parameter FollowTables=on")]
    NotFollowing,
    /// There is no queue for work in the background.
    #[error("there is no queue for work in the background: IMPORT_QUEUE_URL is not set")]
    NoQueue,
    /// The queue of imports did not take a message.
    #[error("the import queue did not accept a message")]
    Queue(#[source] AwsError),
    /// The store of the imported objects does not answer.
    #[error("the object store did not respond: {0}")]
    Storage(String),
    /// The database is unreachable or refused the statement.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// There is no language model, or its answer is incomplete.
    #[error(transparent)]
    LanguageModel(#[from] LanguageModelError),
    /// A bug, or a panic in a library.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// An error that the client cannot fix; only the log has its causes.
    #[must_use]
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Internal(chain(error))
    }

    /// The error of a panic.
    #[must_use]
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        Self::Internal(telemetry::of_panic(panic))
    }

    /// The error of a task that did not finish.
    #[must_use]
    pub fn unfinished(task: JoinError) -> Self {
        match task.try_into_panic() {
            Ok(panic) => Self::panicked(&*panic),
            Err(cancelled) => Self::Internal(cancelled.to_string()),
        }
    }

    /// Reports errors of the field `from` under the name `to`, which the caller wrote.
    #[must_use]
    pub fn blaming(mut self, from: &str, to: &str) -> Self {
        if let Self::Invalid(errors) = &mut self {
            for error in errors.iter_mut().filter(|error| error.field == from) {
                to.clone_into(&mut error.field);
            }
        }
        self
    }
}

impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::Invalid(vec![error])
    }
}

impl From<Vec<FieldError>> for Error {
    fn from(errors: Vec<FieldError>) -> Self {
        Self::Invalid(errors)
    }
}

impl From<JsonError> for Error {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Malformed(detail) => Self::MalformedJson(detail),
            JsonError::Shape(error) => error.into(),
        }
    }
}

impl From<Denied> for Error {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Missing | Denied::Invalid(_) => Self::Unauthorized(denied.to_string()),
            Denied::Scope(scope) => Self::Scope(scope),
            Denied::Tenant(detail) => Self::Forbidden(detail),
            Denied::Busy => Self::UnknownKeys,
            Denied::TooMany(quota) => Self::TooManyRequests(quota),
            Denied::Issuer(cause) => Self::Issuer(cause.to_string()),
            Denied::Database(error) => error.into(),
        }
    }
}

impl From<KeysError> for Error {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::Random => Self::internal(&error),
            KeysError::Database(error) => error.into(),
        }
    }
}

impl From<ChangeError> for Error {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Invalid(errors) => errors.into(),
            ChangeError::Missing(id) => Self::NoDocument(id),
            ChangeError::Unexpected(id) => Self::Unexpected(id),
            ChangeError::Database(error) => error.into(),
        }
    }
}

impl From<ImportError> for Error {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Invalid(error) => error.into(),
            ImportError::Unknown(id) => Self::NoImport(id),
            ImportError::Queue(error) => Self::Queue(error),
            ImportError::Storage(cause) => Self::Storage(cause),
            ImportError::Database(error) => error.into(),
        }
    }
}
