//! Reads and deletes documents.

use database::{Database, DatabaseError, Statement};
use filter::Filter;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{FromRow, types::Json};

use super::{
    etag::{Etag, Expected},
    id::DocumentId,
    metadata::Metadata,
};

/// A stored document.
#[derive(Debug, Serialize, FromRow, JsonSchema)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text; absent in pages.
    #[sqlx(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its metadata, as Postgres wrote it.
    #[schemars(with = "Metadata")]
    pub metadata: Json<Box<RawValue>>,
    /// How many chunks it has.
    pub chunks: i64,
    /// When it was first stored, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last changed, RFC 3339 in UTC.
    pub updated_at: String,
    /// The hash of title, content and metadata; absent in pages.
    #[sqlx(default)]
    #[serde(skip)]
    pub(super) content_hash: Vec<u8>,
}

/// The outcome of the deletion of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It was deleted.
    Deleted,
    /// There was no such document.
    Missing,
    /// It is not the expected one, and stays.
    Refused,
}

/// The outcome of a deletion by filter, or its preview.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Deleted {
    /// How many documents matched.
    pub matching: i64,
    /// How many of them were deleted.
    pub deleted: i64,
}

impl Document {
    /// The entity tag of this state of the document.
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag::of(&self.content_hash)
    }
}

/// Reads one document, if it is stored: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn get(database: &Database, id: &DocumentId) -> Result<Option<Document>, DatabaseError> {
    let statement = Statement::read(
        "SELECT d.content, d.content_hash, d.id, d.title, d.metadata,
                (SELECT count(*) FROM rappel.chunks AS c WHERE c.document_id = d.id) AS chunks,
                to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS created_at,
                to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS updated_at
         FROM rappel.documents AS d WHERE d.id = $1",
    )
    .bind(id.as_str().to_owned());
    database.fetch_optional(statement).await
}

/// Deletes one document with its chunks, if it is as `expected`: one round trip.
///
/// # Errors
/// When the database fails. A deletion is not repeated after a lost connection: the second try would report
/// "no such document" for a document that the first one deleted.
pub async fn delete(
    database: &Database,
    id: &DocumentId,
    expected: &Expected,
) -> Result<Deletion, DatabaseError> {
    let statement = Statement::write(
        "WITH deleted AS (
             DELETE FROM rappel.documents AS d
             WHERE d.id = $1 AND ($2::bytea[] IS NULL OR d.content_hash = ANY ($2))
             RETURNING d.id
         )
         SELECT EXISTS (SELECT FROM deleted), EXISTS (SELECT FROM rappel.documents AS d WHERE d.id = $1)",
    )
    .bind(id.as_str().to_owned())
    .bind(expected.hashes());
    let row: Option<(bool, bool)> = database.fetch_optional(statement).await?;
    Ok(match row {
        Some((true, _)) => Deletion::Deleted,
        Some((false, true)) => Deletion::Refused,
        _ => Deletion::Missing,
    })
}

/// Counts the documents that match.
///
/// # Errors
/// When the database fails.
pub async fn count(database: &Database, filter: &Filter) -> Result<i64, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT documents FROM ",
        schema::function!("count_matching"),
        "($1::jsonb, true)"
    ))
    .bind(filter.compile().to_json());
    let row: Option<(i64,)> = database.fetch_optional(statement).await?;
    Ok(row.map_or(0, |(documents,)| documents))
}

/// Deletes the matching documents, some hundreds per transaction, and returns their number.
///
/// # Errors
/// When the database fails; earlier deletions stay.
pub async fn delete_matching(database: &Database, filter: &Filter) -> Result<i64, DatabaseError> {
    const AT_ONCE: i32 = 500;
    let mut deleted = 0;
    loop {
        let statement = Statement::write(concat!(
            "SELECT ",
            schema::function!("delete_matching"),
            "($1::jsonb, $2)"
        ))
        .bind(filter.compile().to_json())
        .bind(AT_ONCE);
        let row: Option<(i64,)> = database.fetch_optional(statement).await?;
        let count = row.map_or(0, |(count,)| count);
        deleted += count;
        if count < i64::from(AT_ONCE) {
            return Ok(deleted);
        }
    }
}
