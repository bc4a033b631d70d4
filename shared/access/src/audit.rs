//! The audit of administrative acts, as administrators read it.

use database::{Database, DatabaseError, FromRow, Statement};
use document_store::{Limit, Tenant};
use json::FieldError;
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

/// The parameters of `GET /audit`.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct AuditRequest {
    /// The previous page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most acts, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
}

/// A valid request of a page of the audit.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    before: Option<i64>,
    limit: Limit,
}

impl AuditRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first invalid parameter.
    pub fn parse(self) -> Result<AuditQuery, FieldError> {
        let before = self.cursor.map(|cursor| {
            let id = cursor.parse::<i64>();
            id.map_err(|_| FieldError::new("cursor", "is not a next_cursor of this list"))
        });
        Ok(AuditQuery {
            before: before.transpose()?,
            limit: Limit::parse(self.limit, Limit::PAGE_DEFAULT)?,
        })
    }
}

impl AuditQuery {
    /// Reads the acts that concern a tenant, or all: one round trip.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(
        self,
        database: &Database,
        tenant: Option<&Tenant>,
    ) -> Result<AuditPage, DatabaseError> {
        // One extra row shows whether another page follows.
        let statement = Statement::read(
            "SELECT a.id, to_char(a.at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS at, a.actor, a.tenant,
                    a.act, a.subject, a.detail
             FROM rappel.audit AS a
             WHERE ($1 IS NULL OR a.tenant = $1) AND ($2 IS NULL OR a.id < $2)
             ORDER BY a.id DESC LIMIT $3",
        )
        .bind(tenant.map(|tenant| tenant.as_str().to_owned()))
        .bind(self.before)
        .bind(self.limit.get() + 1);
        let mut acts: Vec<Act> = database.fetch_all(statement).await?;
        let more = self.limit.cut(&mut acts);
        let last = acts.last().filter(|_| more);
        Ok(AuditPage {
            next_cursor: last.map(|act| act.id.to_string()),
            acts,
        })
    }
}
