//! Documents out: one by id, pages in the order of ids, deletion.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use database::{Database, DatabaseError, Statement};
use json::FieldError;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, types::Json};

use super::{fields::Limit, id::DocumentId, metadata::Metadata};

/// A stored document.
#[derive(Debug, Serialize, FromRow)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its text; left out of pages.
    #[sqlx(default)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its metadata, as Postgres wrote it.
    pub metadata: Json<Box<RawValue>>,
    /// How many chunks it has.
    pub chunks: i64,
    /// When it was first stored, RFC 3339 in UTC.
    pub created_at: String,
    /// When it was last changed, RFC 3339 in UTC.
    pub updated_at: String,
}

/// The columns of a [`Document`] of `rappel.documents AS d`, but its content.
macro_rules! columns {
    () => {
        "d.id, d.title, d.metadata,
         (SELECT count(*) FROM rappel.chunks AS c WHERE c.document_id = d.id) AS chunks,
         to_char(d.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS created_at,
         to_char(d.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS updated_at"
    };
}

/// Documents in the order of their ids.
#[derive(Debug, Serialize)]
pub struct Page {
    /// The documents.
    pub documents: Vec<Document>,
    /// What the next request's `cursor` is; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// The parameters of `GET /documents`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// The previous page's `next_cursor`; the first page without one.
    pub cursor: Option<String>,
    /// Documents wanted, 1 to 100; 20 if absent.
    pub limit: Option<i64>,
    /// Metadata that every document must contain.
    pub filter: Option<Metadata>,
}

impl PageRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names `limit`, `filter` or `cursor`.
    pub fn parse(self) -> Result<PageQuery, FieldError> {
        let limit = Limit::parse(self.limit, Limit::PAGE_DEFAULT)?;
        if let Some(error) = self
            .filter
            .as_ref()
            .and_then(|filter| filter.unstorable("filter"))
        {
            return Err(error);
        }
        let filter = self.filter.as_ref().map(Metadata::as_json);
        let after = self
            .cursor
            .as_deref()
            .map(|cursor| open_cursor(cursor, filter))
            .transpose()?;
        Ok(PageQuery {
            after,
            limit,
            filter: filter.map(str::to_owned),
        })
    }
}

/// A page that can be read.
#[derive(Clone, Debug)]
pub struct PageQuery {
    after: Option<String>,
    limit: Limit,
    filter: Option<String>,
}

impl PageQuery {
    /// Reads the page: one round trip.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(self, database: &Database) -> Result<Page, DatabaseError> {
        let filter = self.filter.as_deref();
        // One more than wanted tells whether another page follows.
        let statement = Statement::read(concat!(
            "SELECT ",
            columns!(),
            " FROM rappel.documents AS d
             WHERE ($1::text IS NULL OR d.id > $1) AND ($2::text IS NULL OR d.metadata @> $2::jsonb)
             ORDER BY d.id
             LIMIT $3"
        ))
        .bind(self.after)
        .bind(filter.map(str::to_owned))
        .bind(i64::from(self.limit.get()) + 1);
        let mut documents: Vec<Document> = database.fetch_all(statement).await?;
        let wanted = usize::try_from(self.limit.get()).unwrap_or_default();
        let more = documents.len() > wanted;
        documents.truncate(wanted);
        let next_cursor = documents
            .last()
            .filter(|_| more)
            .map(|last| seal_cursor(&last.id, filter));
        Ok(Page {
            documents,
            next_cursor,
        })
    }
}

/// Reads one document, if it is stored: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn get(database: &Database, id: &DocumentId) -> Result<Option<Document>, DatabaseError> {
    let statement = Statement::read(concat!(
        "SELECT d.content, ",
        columns!(),
        " FROM rappel.documents AS d WHERE d.id = $1"
    ))
    .bind(id.as_str().to_owned());
    database.fetch_optional(statement).await
}

/// Deletes one document with its chunks; says whether there was one.
///
/// # Errors
/// When the database fails. A deletion whose connection is lost is not repeated: the second try
/// would answer "no such document" for a document that the first one deleted.
pub async fn delete(database: &Database, id: &DocumentId) -> Result<bool, DatabaseError> {
    let statement = Statement::write("DELETE FROM rappel.documents WHERE id = $1 RETURNING id")
        .bind(id.as_str().to_owned());
    let deleted: Option<(String,)> = database.fetch_optional(statement).await?;
    Ok(deleted.is_some())
}

/// Bytes of the checksum that precedes a cursor's id.
const CHECKSUM: usize = 8;

/// A cursor is the last id of a page behind a checksum of it and the filter. It holds no secret and
/// grants nothing; the checksum tells a damaged cursor, or one of another filter, from a good one.
fn seal_cursor(id: &str, filter: Option<&str>) -> String {
    let mut bytes = checksum(id, filter).to_vec();
    bytes.extend_from_slice(id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn open_cursor(cursor: &str, filter: Option<&str>) -> Result<String, FieldError> {
    let refused = || FieldError::new("cursor", "is not a next_cursor of this listing and filter");
    let bytes = BASE64_URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| refused())?;
    let (sum, id) = bytes.split_at_checked(CHECKSUM).ok_or_else(refused)?;
    let id = str::from_utf8(id).map_err(|_| refused())?;
    if sum == checksum(id, filter) && !id.contains('\0') {
        Ok(id.to_owned())
    } else {
        Err(refused())
    }
}

fn checksum(id: &str, filter: Option<&str>) -> [u8; CHECKSUM] {
    let hash = Sha256::new()
        .chain_update(filter.unwrap_or_default())
        .chain_update([0])
        .chain_update(id)
        .finalize();
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hash[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_unchanged_and_under_its_filter() {
        let cursor = seal_cursor("été/1", Some(r#"{"a":1}"#));
        assert_eq!(
            open_cursor(&cursor, Some(r#"{"a":1}"#)).as_deref(),
            Ok("été/1")
        );
        assert!(open_cursor(&cursor, None).is_err());
        for position in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[position] = if tampered[position] == b'A' {
                b'B'
            } else {
                b'A'
            };
            let tampered = String::from_utf8(tampered).expect("ASCII");
            assert!(
                open_cursor(&tampered, Some(r#"{"a":1}"#)).is_err(),
                "{tampered}"
            );
        }
        assert!(open_cursor("", None).is_err());
    }
}
