//! The dates of documents.

use database::{Database, DatabaseError, FromRow, Statement};

use super::visibility::Visibility;

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

/// The dates of the visible ones of these documents, in any order: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn dates(
    database: &Database,
    visibility: &Visibility,
    ids: Vec<String>,
) -> Result<Vec<Dates>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("document_dates"),
        "($1, $2::jsonb, $3)"
    ))
    .bind(visibility.tenant())
    .bind(visibility.filter())
    .bind(ids);
    database.fetch_all(statement).await
}
