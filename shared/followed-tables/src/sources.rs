//! Sources are made, changed and removed.

use database::{Database, Statement};
use json::FieldError;
use serde::Deserialize;
use sqlx::types::Json;

use super::{SourceDefinition, SourceError};

/// What following a table came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Whether the source is new.
    pub created: bool,
}

/// What the SQL function `follow` answers.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    errors: Vec<Wrong>,
    #[serde(default)]
    created: bool,
}

#[derive(Deserialize)]
struct Wrong {
    field: String,
    detail: String,
}

/// Begins to follow a table, or follows it in another way: afterwards each change is noted, and a walk over all rows begins.
/// One round trip, which waits five seconds at most for transactions that write the table.
///
/// # Errors
/// [`SourceError::Invalid`] with each field that the table does not agree with, or that a right is missing and which.
pub async fn follow(
    database: &Database,
    name: &str,
    definition: &SourceDefinition,
) -> Result<Followed, SourceError> {
    definition.check(name).map_err(SourceError::Invalid)?;
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("follow"),
        "($1, $2::jsonb) AS answer"
    ))
    .bind(name.to_owned())
    .bind(Json(definition.clone()));
    let answer: Option<(Json<Answer>,)> = database.fetch_optional(statement).await?;
    let answer = answer.map_or_else(
        || Answer {
            errors: Vec::new(),
            created: false,
        },
        |(Json(answer),)| answer,
    );
    if answer.errors.is_empty() {
        return Ok(Followed {
            created: answer.created,
        });
    }
    let errors = answer.errors.into_iter();
    Err(SourceError::Invalid(
        errors
            .map(|wrong| FieldError::new(wrong.field, wrong.detail))
            .collect(),
    ))
}

/// Ends to follow a table, and answers the statements that the table's owner has to run where this role may not drop
/// triggers; until then they do nothing. Documents are kept, or deleted by the worker.
///
/// # Errors
/// [`SourceError::Unknown`], or when the database fails.
pub async fn remove(
    database: &Database,
    name: &str,
    keep: bool,
) -> Result<Vec<String>, SourceError> {
    let statement = Statement::write(concat!(
        "SELECT ",
        schema::function!("unfollow"),
        "($1, $2) AS rest"
    ))
    .bind(name.to_owned())
    .bind(keep);
    let rest: Option<(Option<Vec<String>>,)> = database.fetch_optional(statement).await?;
    rest.and_then(|(rest,)| rest)
        .ok_or_else(|| SourceError::Unknown(name.to_owned()))
}

/// Begins the walk over all rows of a source anew: whatever is not as its row is mended, and what failed is tried again.
///
/// # Errors
/// [`SourceError::Unknown`], or when the database fails.
pub async fn resync(database: &Database, name: &str) -> Result<(), SourceError> {
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("resync_source"),
        "($1) AS found"
    ))
    .bind(name.to_owned());
    let found: Option<(bool,)> = database.fetch_optional(statement).await?;
    match found {
        Some((true,)) => Ok(()),
        _ => Err(SourceError::Unknown(name.to_owned())),
    }
}
