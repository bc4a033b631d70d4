//! The metadata keys of documents.

use database::{Database, DatabaseError, FromRow, Statement};
use serde_json::Value;
use sqlx::types::Json;

use super::visibility::Visibility;

/// A key that filters may name.
#[derive(Clone, Debug, FromRow)]
pub struct MetadataKey {
    /// The key, as a filter has it.
    pub key: String,
    /// How many different values it has.
    pub values: i64,
    /// Some of them, the most frequent first.
    pub examples: Json<Vec<Value>>,
}

/// The most frequent metadata keys of any 2,000 visible documents: at most 50 with 5 values each, the elements of lists
/// one by one, none longer than 100 characters. One round trip.
///
/// # Errors
/// When the database fails.
pub async fn metadata_keys(
    database: &Database,
    visibility: &Visibility,
) -> Result<Vec<MetadataKey>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("metadata_keys"),
        "($1, $2::jsonb)"
    ))
    .bind(visibility.tenant())
    .bind(visibility.filter());
    let mut keys: Vec<MetadataKey> = database.fetch_all(statement).await?;
    for found in &mut keys {
        found.key = filter::written_key(&found.key);
    }
    Ok(keys)
}
