//! All of a tenant: what it has, and its removal.

use std::time::Instant;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use database::{Database, DatabaseError, FromRow, Statement};
use json::FieldError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    list::{Cursor, ListQuery},
    visibility::Tenant,
};

/// What a tenant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, JsonSchema)]
#[schemars(rename = "Tenant")]
pub struct TenantState {
    /// Its documents.
    pub documents: i64,
    /// Their chunks.
    pub chunks: i64,
    /// Bytes of both as they are stored, without indexes; of more than 10,000 an estimate.
    pub bytes: i64,
    /// Its limits.
    #[sqlx(flatten)]
    pub limits: Limits,
    /// The last removal of the tenant, if there was one.
    #[sqlx(flatten)]
    #[serde(skip_serializing_if = "Removal::is_absent")]
    pub removal: Removal,
}

/// The limits of a key or a tenant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, FromRow, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute; no limit if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Limits::MAX_REQUESTS))]
    pub requests_per_minute: Option<i64>,
    /// Documents that the tenant may have when one is stored; no limit if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Limits::MAX_DOCUMENTS))]
    pub max_documents: Option<i64>,
}

/// The removal of a tenant; all fields but the last are absent if it was never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow, JsonSchema)]
pub struct Removal {
    /// When it began, RFC 3339 in UTC.
    #[sqlx(rename = "removal_requested_at")]
    pub requested_at: Option<String>,
    /// How many documents were removed so far.
    #[sqlx(rename = "removed_documents")]
    pub documents: Option<i64>,
    /// How many chunks.
    #[sqlx(rename = "removed_chunks")]
    pub chunks: Option<i64>,
    /// When nothing was left, RFC 3339 in UTC; absent before.
    #[sqlx(rename = "removal_finished_at")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// A page of tenants.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Tenants {
    /// In the order of their names.
    pub tenants: Vec<TenantInfo>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// A tenant in a list.
#[derive(Clone, Debug, Serialize, FromRow, JsonSchema)]
pub struct TenantInfo {
    /// Its name; empty for the documents without a tenant.
    pub id: String,
    /// Its documents.
    pub documents: i64,
    /// When its last removal began, RFC 3339 in UTC.
    pub removal_requested_at: Option<String>,
    /// When that was finished.
    pub removal_finished_at: Option<String>,
}

/// The name of a tenant in the list.
#[derive(Clone, Debug)]
pub struct TenantCursor(String);

impl Cursor for TenantCursor {
    fn read(text: &str) -> Option<Self> {
        let name = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let name = String::from_utf8(name).ok()?;
        let name = name.strip_prefix('/')?;
        Tenant::parse(name, "cursor").ok()?;
        Some(Self(name.to_owned()))
    }
}

impl TenantCursor {
    /// The slash is for the empty name: a parameter that is empty counts as absent, and would begin the list anew.
    fn write(name: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("/{name}"))
    }
}

impl Removal {
    fn is_absent(&self) -> bool {
        self.requested_at.is_none()
    }
}

/// Counts what a tenant has: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn tenant_state(
    database: &Database,
    tenant: &Tenant,
) -> Result<Option<TenantState>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("tenant_state"),
        "($1)"
    ))
    .bind(tenant.as_str().to_owned());
    database.fetch_optional(statement).await
}

impl Limits {
    /// The largest limit of requests a minute.
    pub const MAX_REQUESTS: i64 = 1_000_000;
    /// The largest limit of documents.
    pub const MAX_DOCUMENTS: i64 = 1_000_000_000;

    /// Checks them.
    ///
    /// # Errors
    /// One entry per field out of range.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let fields = [
            (
                "requests_per_minute",
                self.requests_per_minute,
                Self::MAX_REQUESTS,
            ),
            ("max_documents", self.max_documents, Self::MAX_DOCUMENTS),
        ];
        let wrong = fields.into_iter().filter_map(|(field, value, most)| {
            let value = value.filter(|value| !(1..=most).contains(value))?;
            let detail = format!("is {value}; 1 to {most} are allowed");
            Some(FieldError::new(field, detail))
        });
        let errors: Vec<FieldError> = wrong.collect();
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors)
    }
}

/// Sets the limits of a tenant, and notes in the audit that `actor` did.
///
/// # Errors
/// When the database fails.
pub async fn limit_tenant(
    database: &Database,
    tenant: &Tenant,
    limits: Limits,
    actor: &str,
) -> Result<(), DatabaseError> {
    let statement = Statement::idempotent_write(
        "WITH limited AS (
             INSERT INTO rappel.tenant_limits (tenant, requests_per_minute, max_documents) VALUES ($1, $2, $3)
             ON CONFLICT (tenant) DO UPDATE SET requests_per_minute = $2, max_documents = $3
             RETURNING tenant, requests_per_minute, max_documents
         )
         INSERT INTO rappel.audit (actor, tenant, act, subject, detail)
         SELECT $4, l.tenant, 'tenant.limit', l.tenant, to_jsonb(l) - 'tenant' FROM limited AS l
         RETURNING id",
    )
    .bind(tenant.as_str().to_owned())
    .bind(limits.requests_per_minute)
    .bind(limits.max_documents)
    .bind(actor.to_owned());
    database.fetch_all::<(i64,)>(statement).await.map(drop)
}

/// The tenants in the order of their names, on a connection for [all tenants](crate::ALL_TENANTS).
///
/// # Errors
/// When the database fails.
pub async fn list_tenants(
    database: &Database,
    page: ListQuery<TenantCursor>,
) -> Result<Tenants, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("list_tenants"),
        "($1, $2)"
    ))
    .bind(page.after.map(|TenantCursor(name)| name))
    .bind(page.limit.rows());
    let mut tenants: Vec<TenantInfo> = database.fetch_all(statement).await?;
    let next_cursor = page
        .limit
        .next_cursor(&mut tenants, |tenant| TenantCursor::write(&tenant.id));
    Ok(Tenants {
        tenants,
        next_cursor,
    })
}

/// Begins to remove a tenant, whose keys are revoked at once, and notes in the audit that `actor` did.
///
/// # Errors
/// When the database fails.
pub async fn begin_removal(
    database: &Database,
    tenant: &Tenant,
    actor: &str,
) -> Result<(), DatabaseError> {
    let statement = Statement::idempotent_write(concat!(
        "SELECT true FROM ",
        schema::function!("begin_removal"),
        "($1, $2)"
    ))
    .bind(tenant.as_str().to_owned())
    .bind(actor.to_owned());
    database.fetch_all::<(bool,)>(statement).await.map(drop)
}

/// Removes the documents, words, statistics and imports of a tenant whose removal has begun, some hundreds of documents per
/// transaction, until `end`. False if there are more. To go on, or after a failure, call it again.
///
/// # Errors
/// When the database fails; what was removed stays so.
pub async fn continue_removal(
    database: &Database,
    tenant: &Tenant,
    end: Instant,
) -> Result<bool, DatabaseError> {
    const AT_ONCE: i32 = 500;
    loop {
        let statement = Statement::idempotent_write(concat!(
            "SELECT ",
            schema::function!("continue_removal"),
            "($1, $2)"
        ))
        .bind(tenant.as_str().to_owned())
        .bind(AT_ONCE);
        let finished: Option<(bool,)> = database.fetch_optional(statement).await?;
        if finished == Some((true,)) {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
    }
}

/// Continues the removals that are not finished, until `end`, on a connection for [all tenants](crate::ALL_TENANTS).
///
/// # Errors
/// When the database fails, the last failure; one removal does not stop the others.
pub async fn continue_removals(database: &Database, end: Instant) -> Result<(), DatabaseError> {
    let statement = Statement::read(
        "SELECT r.tenant FROM rappel.tenant_removals AS r WHERE r.finished_at IS NULL ORDER BY r.requested_at",
    );
    let mut outcome = Ok(());
    for (tenant,) in database.fetch_all::<(String,)>(statement).await? {
        let Ok(tenant) = Tenant::parse(&tenant, "tenant") else {
            continue;
        };
        match continue_removal(database, &tenant, end).await {
            Ok(true) => {}
            Ok(false) => break,
            // Such as a followed table that somebody has locked: other tenants do not wait for it.
            Err(error) if Instant::now() < end => outcome = Err(error),
            Err(error) => return Err(error),
        }
    }
    outcome
}
