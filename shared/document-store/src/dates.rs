//! The dates of documents.

use database::{Database, DatabaseError, Statement};
use sqlx::FromRow;

/// When a document was stored and changed.
#[derive(Clone, Debug, FromRow)]
pub struct Dates {
    /// The document's id.
    pub id: String,
    /// When it was first stored, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last changed, RFC 3339 in UTC.
    pub updated_at: String,
}

/// The dates of these documents, in any order: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn dates(database: &Database, ids: Vec<String>) -> Result<Vec<Dates>, DatabaseError> {
    let statement = Statement::read(
        "SELECT d.id,
                to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS created_at,
                to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') AS updated_at
         FROM rappel.documents AS d WHERE d.id = ANY($1)",
    )
    .bind(ids);
    database.fetch_all(statement).await
}
