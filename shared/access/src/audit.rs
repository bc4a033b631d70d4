//! The audit of administrative acts, as administrators read it.

use database::{Database, DatabaseError, FromRow, Statement};
use document_store::{Cursor, ListQuery, Tenant};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json;

/// A page of the audit.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditPage {
    /// The newest act first.
    pub acts: Vec<Act>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// An administrative act, without texts of documents and without secrets.
#[derive(Debug, Serialize, FromRow, JsonSchema)]
pub struct Act {
    /// Its number; later acts have larger ones.
    pub id: i64,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who: the id of a key, the subject of a token, an ARN, or the login of a command.
    pub actor: String,
    /// The tenant that it concerns; empty for none.
    pub tenant: String,
    /// What: `key.create`, `key.revoke`, `tenant.limit`, `tenant.remove`, `documents.delete`, `schema.migrate`.
    pub act: String,
    /// The id or name of what was changed.
    pub subject: String,
    /// More about it, such as counts.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub detail: Json<Box<RawValue>>,
}

/// The number of an act in the list.
#[derive(Clone, Copy, Debug)]
pub struct ActCursor(i64);

impl Cursor for ActCursor {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

/// Reads the acts that concern a tenant, or all: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn acts(
    database: &Database,
    tenant: Option<&Tenant>,
    page: ListQuery<ActCursor>,
) -> Result<AuditPage, DatabaseError> {
    let statement = Statement::read(
        "SELECT a.id, to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS at, a.actor, a.tenant,
                a.act, a.subject, a.detail
         FROM rappel.audit AS a
         WHERE ($1 IS NULL OR a.tenant = $1) AND ($2 IS NULL OR a.id < $2)
         ORDER BY a.id DESC LIMIT $3",
    )
    .bind(tenant.map(|tenant| tenant.as_str().to_owned()))
    .bind(page.after.map(|ActCursor(id)| id))
    .bind(page.limit.rows());
    let mut acts: Vec<Act> = database.fetch_all(statement).await?;
    let next_cursor = page.limit.next_cursor(&mut acts, |act| act.id.to_string());
    Ok(AuditPage { acts, next_cursor })
}
