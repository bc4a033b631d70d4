//! All of a tenant: what it has, and its removal.

use std::time::Instant;

use database::{Database, DatabaseError, Statement};
use serde::Serialize;
use sqlx::FromRow;

use super::visibility::Tenant;

/// What a tenant has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct TenantState {
    /// Its documents.
    pub documents: i64,
    /// Their chunks.
    pub chunks: i64,
    /// Bytes of both as they are stored, without indexes.
    pub bytes: i64,
    /// The last removal of the tenant, if there was one.
    #[sqlx(flatten)]
    #[serde(skip_serializing_if = "Removal::is_absent")]
    pub removal: Removal,
}

/// The removal of a tenant; all fields but the last are absent if it was never removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
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

impl Removal {
    fn is_absent(&self) -> bool {
        self.requested_at.is_none()
    }
}

/// Counts what a tenant has: one round trip, which reads all of its rows.
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

/// Removes a tenant's documents, words, statistics, imports and sources, some hundreds of documents per transaction, until
/// `end`. False if there are more. To go on, or after a failure, call it again.
///
/// # Errors
/// When the database fails; what was removed stays so.
pub async fn remove_tenant(
    database: &Database,
    tenant: &Tenant,
    end: Instant,
) -> Result<bool, DatabaseError> {
    const AT_ONCE: i32 = 500;
    loop {
        let statement = Statement::idempotent_write(concat!(
            "SELECT ",
            schema::function!("remove_tenant"),
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

/// Goes on with the removals that are not finished, until `end`, on a connection for [all tenants](crate::ALL_TENANTS).
///
/// # Errors
/// When the database fails.
pub async fn continue_removals(database: &Database, end: Instant) -> Result<(), DatabaseError> {
    let statement = Statement::read(
        "SELECT r.tenant FROM rappel.tenant_removals AS r WHERE r.finished_at IS NULL ORDER BY r.requested_at",
    );
    for (tenant,) in database.fetch_all::<(String,)>(statement).await? {
        let Ok(tenant) = Tenant::parse(&tenant, "tenant") else {
            continue;
        };
        if !remove_tenant(database, &tenant, end).await? {
            break;
        }
    }
    Ok(())
}
