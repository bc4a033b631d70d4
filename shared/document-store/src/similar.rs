//! Documents like a stored one, by their stored embeddings.

use database::{Database, DatabaseError, FromRow, Statement};
use filter::Filter;
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{Row as _, postgres::PgRow, types::Json};

use super::{
    fields::{Limit, MAX_METADATA_FIELDS, metadata_fields},
    id::DocumentId,
    metadata::Metadata,
    text::collapsed,
    visibility::Visibility,
};

/// The parameters of `GET /documents/{id}/similar`.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct SimilarRequest {
    /// The most documents, 1 to 100; 10 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
    /// The filter, as JSON.
    #[schemars(with = "Option<Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// The maximum cosine distance, 0 to 2.
    #[schemars(range(min = 0, max = 2))]
    pub max_distance: Option<f64>,
    /// The metadata keys of documents; all if absent.
    #[schemars(length(max = MAX_METADATA_FIELDS))]
    pub metadata_fields: Option<Vec<String>>,
}

/// A valid request of similar documents.
#[derive(Clone, Debug)]
pub struct SimilarQuery {
    limit: Limit,
    filter: Option<Filter>,
    max_distance: Option<f64>,
    metadata_fields: Option<Vec<String>>,
}

/// The documents found, nearest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Similar {
    /// The documents, each with its nearest passage.
    pub hits: Vec<SimilarDocument>,
}

/// A document like another one.
#[derive(Debug, Serialize, FromRow, JsonSchema)]
pub struct SimilarDocument {
    /// Its id.
    pub document_id: String,
    /// The number of its nearest passage, from 0.
    pub chunk: i32,
    /// Its title.
    pub title: String,
    /// The headings above the passage, or the columns of its table; absent if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub heading: String,
    /// The passage.
    pub content: String,
    /// Its metadata, as Postgres wrote it.
    #[schemars(with = "Metadata")]
    pub metadata: Json<Box<RawValue>>,
    /// Cosine distance of the passage and the mean of the other document's embeddings, 0 to 2.
    pub distance: f64,
}

impl SimilarRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names each invalid parameter.
    pub fn parse(self) -> Result<SimilarQuery, Vec<FieldError>> {
        let limit = Limit::parse(self.limit, Limit::SEARCH_DEFAULT);
        let filter = self.filter.map(|filter| Filter::parse(filter.get()));
        let fields = metadata_fields(self.metadata_fields);
        let distance = match self.max_distance {
            Some(distance) if !(0.0..=2.0).contains(&distance) => Err(FieldError::new(
                "max_distance",
                "must be a cosine distance from 0 to 2",
            )),
            distance => Ok(distance),
        };
        match (limit, filter.transpose(), distance, fields) {
            (Ok(limit), Ok(filter), Ok(max_distance), Ok(metadata_fields)) => Ok(SimilarQuery {
                limit,
                filter,
                max_distance,
                metadata_fields,
            }),
            (limit, filter, distance, fields) => {
                let errors = [limit.err(), filter.err(), distance.err(), fields.err()];
                Err(errors.into_iter().flatten().collect())
            }
        }
    }
}

impl SimilarQuery {
    /// Finds the visible documents like `id`; `None` if that is not stored or visible. One round trip.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(
        self,
        database: &Database,
        visibility: &Visibility,
        id: &DocumentId,
    ) -> Result<Option<Similar>, DatabaseError> {
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("similar_documents"),
            "($1, $2::jsonb, $3, $4, $5::jsonb, $6, $7)"
        ))
        .bind(visibility.tenant())
        .bind(visibility.filter())
        .bind(id.as_str().to_owned())
        .bind(self.limit.get())
        .bind(visibility.within(self.filter.as_ref()))
        .bind(self.max_distance)
        .bind(self.metadata_fields);
        let rows: Vec<Row> = database.fetch_all(statement).await?;
        let is_stored = rows.iter().any(|row| row.0.is_none());
        let hits = rows.into_iter().filter_map(|row| row.0).map(|mut hit| {
            hit.content = collapsed(&hit.content).into_owned();
            hit
        });
        Ok(is_stored.then(|| Similar {
            hits: hits.collect(),
        }))
    }
}

/// A document, or nothing for the one that is compared.
struct Row(Option<SimilarDocument>);

impl<'r> FromRow<'r, PgRow> for Row {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let id: Option<String> = row.try_get("document_id")?;
        id.map(|_| SimilarDocument::from_row(row))
            .transpose()
            .map(Self)
    }
}
