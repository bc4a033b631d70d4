//! Creates, changes and removes sources.

use database::{Database, Statement};
use document_store::Tenant;
use json::FieldError;
use serde::Deserialize;
use sqlx::types::Json;

use super::{SourceDefinition, SourceError};

/// The outcome of following a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Whether the source is new.
    pub created: bool,
}

/// The result of the SQL function `follow`.
#[derive(Deserialize)]
struct FollowResult {
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

/// Follows a table, or changes how: from then on each change is noted, and a walk over all rows begins. One round
/// trip, which waits at most five seconds for transactions that write the table.
///
/// # Errors
/// [`SourceError::Invalid`] with each field that does not fit the table, or with the missing privilege.
pub async fn follow(
    database: &Database,
    tenant: &Tenant,
    name: &str,
    definition: &SourceDefinition,
) -> Result<Followed, SourceError> {
    definition.check(name).map_err(SourceError::Invalid)?;
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("follow"),
        "($1, $2, $3::jsonb) AS answer"
    ))
    .bind(tenant.as_str().to_owned())
    .bind(name.to_owned())
    .bind(Json(definition.clone()));
    let answer: Option<(Json<FollowResult>,)> = database.fetch_optional(statement).await?;
    let answer = answer.map_or_else(
        || FollowResult {
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

/// Stops following a table. Returns the statements that the table's owner must run if this role may not drop the
/// triggers, which do nothing until then. Documents are kept, or deleted by the worker.
///
/// # Errors
/// [`SourceError::Unknown`], or when the database fails.
pub async fn remove(
    database: &Database,
    tenant: &Tenant,
    name: &str,
    keep: bool,
) -> Result<Vec<String>, SourceError> {
    let statement = Statement::write(concat!(
        "SELECT ",
        schema::function!("unfollow"),
        "($1, $2, $3) AS rest"
    ))
    .bind(tenant.as_str().to_owned())
    .bind(name.to_owned())
    .bind(keep);
    let rest: Option<(Option<Vec<String>>,)> = database.fetch_optional(statement).await?;
    rest.and_then(|(rest,)| rest)
        .ok_or_else(|| SourceError::Unknown(name.to_owned()))
}

/// Restarts the walk over all rows of a source: repairs documents that differ from their rows, and retries failures.
///
/// # Errors
/// [`SourceError::Unknown`], or when the database fails.
pub async fn resync(database: &Database, tenant: &Tenant, name: &str) -> Result<(), SourceError> {
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("resync_source"),
        "($1, $2) AS found"
    ))
    .bind(tenant.as_str().to_owned())
    .bind(name.to_owned());
    let found: Option<(bool,)> = database.fetch_optional(statement).await?;
    match found {
        Some((true,)) => Ok(()),
        _ => Err(SourceError::Unknown(name.to_owned())),
    }
}
