//! What a client is told of an error: an RFC 9457 problem document.

use serde::Serialize;

use crate::{Error, database::DatabaseError, error::FieldError, http::BODY_LIMIT};

/// The body of an error response, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// A stable identifier of the kind of problem: `urn:rappel:problem:<word>`.
    pub r#type: String,
    /// The kind of problem in words; the same for every problem of this type.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time. Of a 5xx it is constant: the cause is in the log alone.
    pub detail: String,
    /// The fields concerned.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which trying again makes sense, sent as `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<u32>,
}

impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        match error {
            Error::MalformedJson(detail) => {
                Self::new(400, "malformed-json", "The body is not JSON", detail)
            }
            Error::Invalid(errors) => Self {
                errors: errors.clone(),
                ..Self::new(
                    422,
                    "invalid-request",
                    "The request is not valid",
                    &error.to_string(),
                )
            },
            Error::UnsupportedMediaType(_) => Self::new(
                415,
                "unsupported-media-type",
                "The body must be application/json",
                &error.to_string(),
            ),
            Error::BodyTooLarge(bytes) => Self::new(
                413,
                "body-too-large",
                "The body is too large",
                &format!("the body has {bytes} bytes; the limit is {BODY_LIMIT}"),
            ),
            Error::NoDocument(_) => Self::new(404, "not-found", "Not found", &error.to_string()),
            Error::Database(cause) => Self::of_database(cause),
            Error::Embedder(_) | Error::Reranker(_) | Error::Internal(_) => Self::internal(),
        }
    }
}

impl Problem {
    fn of_database(error: &DatabaseError) -> Self {
        match error {
            DatabaseError::Unavailable { cause, .. } => {
                let word = format!("database-{}", cause.word());
                Self::new(
                    503,
                    &word,
                    "The database is unavailable",
                    "try again in a moment",
                )
                .retry(1)
            }
            DatabaseError::Lost(_) => Self::new(
                503,
                "database-lost",
                "The connection to the database was lost",
                "try again in a moment",
            )
            .retry(1),
            DatabaseError::Busy => Self::new(
                503,
                "database-busy",
                "No connection is free",
                "try again in a moment",
            )
            .retry(1),
            DatabaseError::StatementTimeout => Self::new(
                504,
                "statement-timeout",
                "The database took too long",
                "the statement was cancelled at its time limit",
            ),
            DatabaseError::ModelMismatch(_) => Self::new(
                503,
                "model-mismatch",
                "The database holds another model's embeddings",
                "the function's model is not the one that embedded this database",
            ),
            DatabaseError::NotMigrated(_) => Self::new(
                503,
                "not-migrated",
                "The database schema is missing or behind",
                "migrations have to be applied to this database",
            ),
            DatabaseError::Statement(_) => Self::internal(),
        }
    }

    fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Internal error",
            "the request failed; the log has the cause under its request id",
        )
    }

    fn new(status: u16, word: &str, title: &'static str, detail: &str) -> Self {
        Self {
            r#type: format!("urn:rappel:problem:{word}"),
            title,
            status,
            detail: detail.to_owned(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    fn retry(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}
