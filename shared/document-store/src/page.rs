//! Pages of documents.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use database::{Database, DatabaseError, Statement};
use filter::Filter;
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sqlx::{FromRow, Row as _, postgres::PgRow};

use super::{
    fields::{Count, Limit, MAX_METADATA_FIELDS, metadata_fields, nul},
    read::Document,
    visibility::Visibility,
};

/// Documents in the requested order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Page {
    /// The documents.
    pub documents: Vec<Document>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
    /// How many documents match, on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Whether `total` was counted, not estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_is_exact: Option<bool>,
}

/// The parameters of `GET /documents`.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct PageRequest {
    /// The previous page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most documents, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
    /// The filter, as JSON.
    #[schemars(with = "Option<Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// `id`, `created_at` or `updated_at`, with `-` before it for descending order; `id` if absent.
    #[schemars(extend("enum" = Sort::names()))]
    pub sort: Option<String>,
    /// `estimate` (the default), `exact` or `none`.
    #[schemars(with = "Option<Count>")]
    pub count: Option<String>,
    /// The metadata keys of documents; all if absent.
    #[schemars(length(max = MAX_METADATA_FIELDS))]
    pub metadata_fields: Option<Vec<String>>,
}

/// A valid request of a page.
#[derive(Clone, Debug)]
pub struct PageQuery {
    after: Option<Position>,
    limit: Limit,
    filter: Option<Filter>,
    sort: Sort,
    count: Count,
    metadata_fields: Option<Vec<String>>,
}

/// The sort key of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sort {
    key: Key,
    downward: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    #[default]
    Id,
    CreatedAt,
    UpdatedAt,
}

/// A document's place in an order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    /// In microseconds since 1970; 0 in the order of ids.
    time: i64,
    id: String,
}

/// A row of the listing.
enum Row {
    Document(Document, Position),
    Total(i64, bool),
}

impl PageRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first invalid parameter.
    pub fn parse(self) -> Result<PageQuery, FieldError> {
        let limit = Limit::parse(self.limit, Limit::PAGE_DEFAULT)?;
        let filter = self
            .filter
            .map(|filter| Filter::parse(filter.get()))
            .transpose()?;
        let sort = Sort::parse(self.sort.as_deref())?;
        let order = sort.context(filter.as_ref());
        let after = self
            .cursor
            .as_deref()
            .map(|cursor| open_cursor(cursor, &order))
            .transpose()?;
        Ok(PageQuery {
            after,
            limit,
            filter,
            sort,
            count: Count::parse(self.count.as_deref())?,
            metadata_fields: metadata_fields(self.metadata_fields)?,
        })
    }
}

impl PageQuery {
    /// Reads the page of visible documents: one round trip.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn read(
        self,
        database: &Database,
        visibility: &Visibility,
    ) -> Result<Page, DatabaseError> {
        let order = self.sort.context(self.filter.as_ref());
        let after = self.after.unwrap_or_default();
        let statement = Statement::read(concat!(
            "SELECT p.id, p.title, p.metadata, p.chunks,
                    to_char(p.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS created_at,
                    to_char(p.updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS updated_at,
                    (extract(epoch FROM CASE $3 WHEN 'created_at' THEN p.created_at WHEN 'updated_at' THEN p.updated_at
                                        END) * 1000000)::bigint AS sorted_at,
                    p.total, p.is_exact
             FROM ",
            schema::function!("list_documents"),
            "($1, $2::jsonb, $3, $4, timestamptz 'epoch' + $5::bigint * interval '1 microsecond', $6, $7, $8, $9) AS p"
        ))
        .bind(visibility.tenant())
        .bind(visibility.within(self.filter.as_ref()))
        .bind(self.sort.key.name())
        .bind(self.sort.downward)
        .bind(after.time)
        .bind(Some(after.id).filter(|id| !id.is_empty()))
        .bind(self.limit.rows())
        .bind(self.metadata_fields)
        .bind(self.count.name());
        let rows: Vec<Row> = database.fetch_all(statement).await?;
        let (mut documents, mut total) = (Vec::with_capacity(rows.len()), None);
        for row in rows {
            match row {
                Row::Document(document, position) => documents.push((document, position)),
                Row::Total(documents, is_exact) => total = Some((documents, is_exact)),
            }
        }
        let next_cursor = self.limit.next_cursor(&mut documents, |(_, position)| {
            seal_cursor(position, &order)
        });
        Ok(Page {
            documents: documents
                .into_iter()
                .map(|(document, _)| document)
                .collect(),
            next_cursor,
            total: total.map(|(documents, _)| documents),
            total_is_exact: total.map(|(_, is_exact)| is_exact),
        })
    }
}

impl<'r> FromRow<'r, PgRow> for Row {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let id: Option<String> = row.try_get("id")?;
        let Some(id) = id else {
            return Ok(Self::Total(row.try_get("total")?, row.try_get("is_exact")?));
        };
        let time: Option<i64> = row.try_get("sorted_at")?;
        let position = Position {
            time: time.unwrap_or_default(),
            id,
        };
        Ok(Self::Document(Document::from_row(row)?, position))
    }
}

const SORTS: &str = "use id, created_at or updated_at, with - before it for the reverse order";

impl Sort {
    /// What a request may say, in the order of the documentation.
    fn names() -> Vec<String> {
        let keys = Key::ALL.map(Key::name);
        let names = keys
            .iter()
            .flat_map(|key| [(*key).to_owned(), format!("-{key}")]);
        names.collect()
    }

    fn parse(text: Option<&str>) -> Result<Self, FieldError> {
        let Some(text) = text else {
            return Ok(Self::default());
        };
        let (downward, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let known = Key::ALL.into_iter().find(|key| key.name() == name);
        known
            .map(|key| Self { key, downward })
            .ok_or_else(|| FieldError::new("sort", format!("is {text:?}; {SORTS}")))
    }

    /// The context of a cursor: the order, and the filter.
    fn context(self, filter: Option<&Filter>) -> String {
        let sign = if self.downward { "-" } else { "" };
        let filter = filter.map(|filter| filter.compile().to_json());
        format!("{sign}{} {}", self.key.name(), filter.unwrap_or_default())
    }
}

impl Key {
    const ALL: [Self; 3] = [Self::Id, Self::CreatedAt, Self::UpdatedAt];

    fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
        }
    }
}

/// Bytes of the checksum that precedes a cursor's position, and of its time.
const CHECKSUM: usize = 8;
const TIME: usize = 8;

/// The most microseconds between 1970 and the time of a cursor: 6,000 years, of which Postgres can hold either end.
const MAX_TIME: u64 = 6_000 * 366 * 24 * 60 * 60 * 1_000_000;

/// A cursor is the last position of a page after a checksum of it and of the order. It is not secret and grants
/// nothing; the checksum detects a damaged cursor, or one of another listing. Whoever computes the checksum can make one of
/// any position: one that Postgres cannot hold is refused here.
fn seal_cursor(position: &Position, order: &str) -> String {
    let mut bytes = checksum(position, order).to_vec();
    bytes.extend_from_slice(&position.time.to_be_bytes());
    bytes.extend_from_slice(position.id.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn open_cursor(cursor: &str, order: &str) -> Result<Position, FieldError> {
    let open = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (sum, rest) = bytes.split_first_chunk::<CHECKSUM>()?;
        let (time, id) = rest.split_first_chunk::<TIME>()?;
        let position = Position {
            time: i64::from_be_bytes(*time),
            id: std::str::from_utf8(id).ok()?.to_owned(),
        };
        let is_possible =
            position.time.unsigned_abs() <= MAX_TIME && nul(&position.id, "cursor").is_none();
        (is_possible && *sum == checksum(&position, order)).then_some(position)
    };
    open().ok_or_else(|| {
        FieldError::new(
            "cursor",
            "is not a next_cursor of this listing, sort and filter",
        )
    })
}

fn checksum(position: &Position, order: &str) -> [u8; CHECKSUM] {
    let hash = Sha256::new()
        .chain_update(order)
        .chain_update([0])
        .chain_update(position.time.to_be_bytes())
        .chain_update(&position.id)
        .finalize();
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&hash[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_unchanged_and_in_its_order() {
        let position = Position {
            time: -7,
            id: "été/1".to_owned(),
        };
        let cursor = seal_cursor(&position, "id {}");
        assert_eq!(open_cursor(&cursor, "id {}"), Ok(position));
        assert!(open_cursor(&cursor, "-id {}").is_err());
        for place in 0..cursor.len() {
            let mut tampered = cursor.clone().into_bytes();
            tampered[place] = if tampered[place] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(tampered).expect("ASCII");
            assert!(open_cursor(&tampered, "id {}").is_err(), "{tampered}");
        }
        assert!(open_cursor("", "id {}").is_err());
    }

    #[test]
    fn a_cursor_of_a_position_that_no_document_has_is_refused() {
        let opened = |time, id: &str| {
            let id = id.to_owned();
            open_cursor(&seal_cursor(&Position { time, id }, "id {}"), "id {}")
        };
        let most = MAX_TIME.cast_signed();
        for time in [most, -most] {
            assert!(opened(time, "a").is_ok(), "{time}");
        }
        for (time, id) in [
            (i64::MAX, "a"),
            (i64::MIN, "a"),
            (most + 1, "a"),
            (0, "a\0b"),
        ] {
            let error = opened(time, id).expect_err("it is refused");
            assert_eq!(error.field, "cursor", "{time} {id:?}");
        }
    }
}
