//! Reads and deletes documents.

use database::{Database, DatabaseError, FromRow, Statement};
use filter::Filter;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::{
    etag::{Etag, Expected},
    id::DocumentId,
    metadata::Metadata,
    retry::retried,
    visibility::Visibility,
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

    /// Whether this state is one of those that are `expected`.
    #[must_use]
    pub fn is_expected(&self, expected: &Expected) -> bool {
        expected.allows(Some(&self.content_hash))
    }
}

/// Reads one document, if it is stored and visible: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn get(
    database: &Database,
    visibility: &Visibility,
    id: &DocumentId,
) -> Result<Option<Document>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT * FROM ",
        schema::function!("read_document"),
        "($1, $2::jsonb, $3)"
    ))
    .bind(visibility.tenant())
    .bind(visibility.filter())
    .bind(id.as_str().to_owned());
    database.fetch_optional(statement).await
}

/// Deletes one visible document with its chunks, if it is as `expected`: one round trip.
///
/// # Errors
/// When the database fails. A deletion is repeated after a conflict, and not after a lost connection: the second try would
/// report "no such document" for a document that the first one deleted.
pub async fn delete(
    database: &Database,
    visibility: &Visibility,
    id: &DocumentId,
    expected: &Expected,
) -> Result<Deletion, DatabaseError> {
    let row: Option<(String,)> = retried(|| {
        let statement = Statement::write(concat!(
            "SELECT ",
            schema::function!("delete_document"),
            "($1, $2::jsonb, $3, $4)"
        ))
        .bind(visibility.tenant())
        .bind(visibility.filter())
        .bind(id.as_str().to_owned())
        .bind(expected.hashes());
        database.fetch_optional(statement)
    })
    .await?;
    Ok(match row.as_ref().map(|(outcome,)| outcome.as_str()) {
        Some("deleted") => Deletion::Deleted,
        Some("refused") => Deletion::Refused,
        _ => Deletion::Missing,
    })
}

/// Counts the visible documents that match.
///
/// # Errors
/// When the database fails.
pub async fn count(
    database: &Database,
    visibility: &Visibility,
    filter: &Filter,
) -> Result<i64, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT ",
        schema::function!("count_documents"),
        "($1, $2::jsonb)"
    ))
    .bind(visibility.tenant())
    .bind(visibility.within(Some(filter)));
    let row: Option<(i64,)> = database.fetch_optional(statement).await?;
    Ok(row.map_or(0, |(documents,)| documents))
}

/// Deletes the visible documents that match, some hundreds per transaction, notes in the audit that `actor` did, and returns
/// their number.
///
/// # Errors
/// When the database fails; earlier deletions stay.
pub async fn delete_matching(
    database: &Database,
    visibility: &Visibility,
    filter: &Filter,
    actor: &str,
) -> Result<i64, DatabaseError> {
    const AT_ONCE: i32 = 500;
    let (mut deleted, mut after) = (0, None::<String>);
    loop {
        let row: Option<(i64, Option<String>)> = retried(|| {
            let statement = Statement::write(concat!(
                "SELECT deleted, last_id FROM ",
                schema::function!("delete_matching"),
                "($1, $2::jsonb, $3, $4, $5)"
            ))
            .bind(visibility.tenant())
            .bind(visibility.within(Some(filter)))
            .bind(after.clone())
            .bind(AT_ONCE)
            .bind(actor.to_owned());
            database.fetch_optional(statement)
        })
        .await?;
        let (count, last) = row.unwrap_or_default();
        deleted += count;
        if count < i64::from(AT_ONCE) {
            return Ok(deleted);
        }
        after = last;
    }
}
