//! Deletion within a transaction.

use database::{DatabaseError, Statement, Transaction};

/// Deletes the existing ones of the documents `ids` with their chunks. Locks them in the order of their ids, as
/// everywhere.
///
/// # Errors
/// When the database fails.
pub async fn delete_within(
    transaction: &mut Transaction,
    ids: &[String],
) -> Result<(), DatabaseError> {
    if ids.is_empty() {
        return Ok(());
    }
    let statement = Statement::idempotent_write(
        "WITH wanted AS MATERIALIZED (
             SELECT d.id FROM rappel.documents AS d WHERE d.id = ANY ($1) ORDER BY d.id FOR UPDATE
         ), gone AS (
             DELETE FROM rappel.documents AS d USING wanted AS w WHERE d.id = w.id RETURNING d.id
         )
         SELECT count(*) FROM gone",
    )
    .bind(ids.to_vec());
    transaction.fetch_all::<(i64,)>(statement).await.map(drop)
}
