//! Deletion within a transaction.

use database::{DatabaseError, Statement, Transaction};

/// Deletes the existing ones of the documents `ids` of a tenant with their chunks. Locks them in the order of their ids,
/// as everywhere.
///
/// # Errors
/// When the database fails.
pub async fn delete_within(
    transaction: &mut Transaction,
    tenant: &str,
    ids: &[String],
) -> Result<(), DatabaseError> {
    if ids.is_empty() {
        return Ok(());
    }
    let statement = Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("delete_documents"),
        "($1, $2)"
    ))
    .bind(tenant.to_owned())
    .bind(ids.to_vec());
    transaction
        .fetch_all::<(String,)>(statement)
        .await
        .map(drop)
}
