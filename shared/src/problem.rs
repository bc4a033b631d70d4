//! The problem document of an error, RFC 9457.

mod language_model;

use database::DatabaseError;
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::Error;

/// The body of an error response, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Problem {
    /// A stable identifier of the kind of problem: `urn:rappel:problem:<word>`.
    pub r#type: String,
    /// A title, the same for every problem of this type.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What happened this time. Constant for a 5xx: only the log has the cause.
    pub detail: String,
    /// The invalid fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The id of the request, as in `x-request-id`, for a search in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Seconds to wait before a retry, sent as `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    /// How to authenticate, sent as `WWW-Authenticate`.
    #[serde(skip)]
    pub authenticate: Option<String>,
    /// The methods that the route allows, sent as `Allow`.
    #[serde(skip)]
    pub allow: Option<&'static str>,
    /// The accepted content codings of a body, sent as `Accept-Encoding`.
    #[serde(skip)]
    pub accept_encoding: Option<&'static str>,
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
            Error::UnsupportedEncoding(_) => Self {
                accept_encoding: Some("identity"),
                ..Self::new(
                    415,
                    "unsupported-encoding",
                    "The body must not be compressed",
                    &error.to_string(),
                )
            },
            Error::MalformedUrl(detail) => {
                Self::new(400, "malformed-url", "The URL is not valid", detail)
            }
            Error::BodyTooLarge { .. } => Self::new(
                413,
                "body-too-large",
                "The body is too large",
                &error.to_string(),
            ),
            Error::AnswerTooLarge { .. } => Self::new(
                422,
                "answer-too-large",
                "The response is too large",
                &error.to_string(),
            ),
            Error::Method { allowed, .. } => Self {
                allow: Some(allowed),
                ..Self::new(
                    405,
                    "method-not-allowed",
                    "Method not allowed",
                    &error.to_string(),
                )
            },
            Error::Unauthorized(_)
            | Error::Scope(_)
            | Error::Forbidden(_)
            | Error::UnknownKeys
            | Error::TooManyRequests(_)
            | Error::Issuer(_) => Self::of_access(error),
            Error::NoKey(_) | Error::NoDocument(_) | Error::NoImport(_) | Error::NoSource(_) => {
                Self::new(404, "not-found", "Not found", &error.to_string())
            }
            Error::Unexpected(_) => Self::new(
                412,
                "precondition-failed",
                "The document has changed",
                &error.to_string(),
            ),
            Error::Queue(_) => Self::new(
                503,
                "queue-unavailable",
                "The import queue is unavailable",
                "the work was not queued; try again in a moment",
            )
            .retry(5),
            Error::Storage(_) => Self::new(
                503,
                "storage-unavailable",
                "The object store is unavailable",
                "the object could not be read; try again in a moment",
            )
            .retry(5),
            Error::NoQueue => Self::new(501, "no-queue", "There is no queue", &error.to_string()),
            Error::NotFollowing => Self::new(
                501,
                "not-following",
                "Followed tables are disabled",
                "deploy with the parameter FollowTables=on",
            ),
            Error::Database(cause) => Self::of_database(cause),
            Error::LanguageModel(cause) => Self::of_language_model(cause),
            Error::Internal(_) => Self::internal(),
        }
    }
}

impl Problem {
    /// The problem of a caller who may not do what the request asks for.
    fn of_access(error: &Error) -> Self {
        match error {
            Error::Unauthorized(detail) => Self {
                authenticate: Some("Bearer".to_owned()),
                ..Self::new(401, "unauthorized", "Not authorized", detail)
            },
            // <https://www.rfc-editor.org/rfc/rfc6750#section-3.1>
            Error::Scope(scope) => Self {
                authenticate: Some(format!(
                    "Bearer error=\"insufficient_scope\", scope=\"{scope}\""
                )),
                ..Self::new(403, "forbidden", "Not allowed", &error.to_string())
            },
            Error::Forbidden(detail) => Self::new(403, "forbidden", "Not allowed", detail),
            Error::UnknownKeys => Self::new(
                429,
                "too-many-keys",
                "Too many unknown keys",
                &error.to_string(),
            )
            .retry(1),
            Error::TooManyRequests(quota) => Self::new(
                429,
                "too-many-requests",
                "Too many requests",
                &error.to_string(),
            )
            .retry(quota.reset),
            Error::Issuer(_) => Self::new(
                503,
                "issuer-unavailable",
                "Tokens cannot be verified",
                "the issuer of tokens did not answer; try again in a moment",
            )
            .retry(5),
            _ => Self::internal(),
        }
    }

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
            DatabaseError::ReadOnly(_) => Self::new(
                503,
                "database-read-only",
                "The database is read-only",
                "nothing was changed; try again in a moment",
            )
            .retry(5),
            DatabaseError::Shared(_) => Self::new(
                503,
                "database-pooler",
                "The connection to the database is shared",
                "nothing was changed; try again in a moment",
            )
            .retry(1),
            DatabaseError::Busy => Self::new(
                503,
                "database-busy",
                "No connection is free",
                "try again in a moment",
            )
            .retry(1),
            DatabaseError::Overloaded(_) => Self::new(
                503,
                "database-overloaded",
                "The database is overloaded",
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
                "run `rappel migrate` or the migrate function",
            ),
            DatabaseError::Forbidden(_) => Self::new(
                503,
                "database-forbidden",
                "The database role lacks a privilege",
                "the log names the privilege to grant",
            ),
            DatabaseError::Migration(_) => Self::new(
                503,
                "migration-refused",
                "The database schema cannot be migrated",
                "see the log for the reason",
            ),
            DatabaseError::Limit(detail) => Self::new(
                403,
                "too-many-documents",
                "The tenant may have no more documents",
                &format!("{detail}; nothing was stored"),
            ),
            DatabaseError::Removed => Self::new(
                403,
                "tenant-removed",
                "The tenant is being removed",
                "nothing was stored; a tenant of the same name can begin two minutes after the removal",
            ),
            DatabaseError::Invisible => Self::new(
                403,
                "forbidden-document",
                "The caller may not change this document",
                "a document was, or would be, outside of the filter that the caller is held to; nothing was changed",
            ),
            DatabaseError::Value(_) | DatabaseError::Statement(_) => Self::internal(),
        }
    }

    fn internal() -> Self {
        Self::new(
            500,
            "internal",
            "Internal error",
            "the request failed; see the log entry with its request id for the cause",
        )
    }

    fn new(status: u16, word: &str, title: &'static str, detail: &str) -> Self {
        Self {
            r#type: format!("urn:rappel:problem:{word}"),
            title,
            status,
            detail: detail.to_owned(),
            errors: Vec::new(),
            request_id: None,
            retry_after: None,
            authenticate: None,
            allow: None,
            accept_encoding: None,
        }
    }

    fn retry(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }
}
