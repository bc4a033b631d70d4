//! The answer to a search.

use std::collections::BTreeMap;

use std::ops;

use database::FromRow;
use document_store::Metadata;
use schemars::{JsonSchema, Schema};
use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Map, Value, value::RawValue};
use sqlx::{Row as _, postgres::PgRow, types::Json};

use super::{fields::Fields, highlights::Highlights};

/// The answer to a search.
#[derive(Debug, JsonSchema)]
pub struct SearchResponse {
    /// The best passage of each document found, best first.
    pub hits: Vec<Hit>,
    /// Counts over all documents, not only the hits.
    #[schemars(flatten)]
    pub summary: Summary,
    /// Where the time went.
    pub took_ms: Took,
    /// The fields of hits to send.
    #[schemars(skip)]
    pub(super) fields: Fields,
    /// The keys of the facets, as in the request.
    #[schemars(skip)]
    pub(super) facets: Vec<String>,
}

/// One document found, with its best passage.
#[derive(Debug, FromRow, JsonSchema)]
#[schemars(transform = has_chosen_fields)]
pub struct Hit {
    /// The document's id.
    pub document_id: String,
    /// The passage's number in the document, from 0.
    pub chunk: i32,
    /// The document's title.
    pub title: String,
    /// The headings above the passage, or the columns of its table; absent if there are none.
    pub heading: String,
    /// The passage with the requested neighbours.
    pub content: String,
    /// The document's metadata, as Postgres wrote it, unparsed.
    #[schemars(with = "Metadata")]
    pub metadata: Json<Box<RawValue>>,
    /// The language that all of the metadata say, to find the question's words: `metadata` may lack it.
    #[schemars(skip)]
    pub(super) language: Option<String>,
    /// Cosine distance of passage and question, 0 (same direction) to 2 (opposite).
    pub distance: f64,
    /// BM25 of the passage and its document's title for the question, 0 without a common word.
    pub keyword_score: f64,
    /// `keyword_score` as a share of the maximum for the question's words, 0 to 1: rare words count for more, and
    /// words that no passage has count too.
    pub coverage: f64,
    /// The sort key of hits, higher is better: 1 - `distance` in mode `semantic`, `coverage` in mode `keyword`, and
    /// in mode `hybrid` the mean of both by `semantic_weight`. Comparable between questions.
    pub score: f64,
    /// The estimated probability that the passage answers the question, 0 to 1, in every mode.
    pub relevance: f64,
    /// The sort key of reranked hits: the cross-encoder's logit, higher is better. Its scale depends on the model.
    #[sqlx(default)]
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub rerank_score: Option<f32>,
    /// The parts of `score`, on request.
    #[schemars(with = "Map<String, Value>")]
    pub explanation: Option<Json<Box<RawValue>>>,
    /// Where `title` and `content` have the question's words, on request.
    #[sqlx(skip)]
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Highlights>,
}

/// Counts beside the hits.
#[derive(Debug, Default, FromRow, JsonSchema)]
pub struct Summary {
    /// How many documents match the filter, on request.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub total: Option<i64>,
    /// Whether `total` was counted, not estimated.
    #[schemars(rename = "total_is_exact", skip_serializing_if = "Option::is_none")]
    pub is_exact: Option<bool>,
    /// For each requested key, the most frequent values among the candidates.
    #[schemars(
        with = "Option<BTreeMap<String, Vec<FacetValue>>>",
        skip_serializing_if = "Option::is_none"
    )]
    pub facets: Option<Json<Vec<Box<RawValue>>>>,
    /// The number of the candidates' documents.
    #[schemars(skip_serializing_if = "Option::is_none")]
    pub facet_documents: Option<i64>,
    /// `true` if so many passages have the words of a phrase in quotes that not all of them were compared with it, so that hits may
    /// be missing; absent otherwise.
    #[schemars(rename = "partial", skip_serializing_if = "Option::is_none")]
    pub is_partial: Option<bool>,
    /// The terms that the question's last word was taken for the beginning of, if it was for that of any.
    #[schemars(skip)]
    pub(super) completions: Option<Vec<String>>,
}

/// A value of a facet, as the SQL function `search` makes it.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "only its schema is used: Postgres writes the JSON"
)]
struct FacetValue {
    /// The value.
    value: Value,
    /// How many of the candidates' documents have it.
    count: u64,
}

/// A row of the result.
#[derive(Debug)]
pub(super) enum Row {
    Hit(Hit),
    Summary(Summary),
}

/// Milliseconds of the parts of a search.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[schemars(rename = "SearchTook")]
pub struct Took {
    /// Embedding the question.
    pub embed: f64,
    /// Whether the question was asked before, so that nothing was embedded; omitted if not.
    #[serde(skip_serializing_if = "ops::Not::not")]
    pub embedding_cached: bool,
    /// Waiting for the database.
    pub database: f64,
    /// Reranking, on request; the first time including the loading of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f64>,
    /// Everything in the handler.
    pub total: f64,
}

impl<'r> FromRow<'r, PgRow> for Row {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let id: Option<String> = row.try_get("document_id")?;
        if id.is_some() {
            Hit::from_row(row).map(Self::Hit)
        } else {
            Summary::from_row(row).map(Self::Summary)
        }
    }
}

/// Only the fields that the request cannot leave out are always there.
fn has_chosen_fields(schema: &mut Schema) {
    schema.insert("required".to_owned(), Fields::ALWAYS.to_vec().into());
}

impl Serialize for SearchResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("hits", &Hits(&self.hits, &self.fields))?;
        if let Some(total) = self.summary.total {
            map.serialize_entry("total", &total)?;
            map.serialize_entry("total_is_exact", &self.summary.is_exact.unwrap_or_default())?;
        }
        if let Some(Json(facets)) = &self.summary.facets {
            map.serialize_entry("facets", &Facets(&self.facets, facets))?;
            map.serialize_entry("facet_documents", &self.summary.facet_documents)?;
        }
        if self.summary.is_partial == Some(true) {
            map.serialize_entry("partial", &true)?;
        }
        map.serialize_entry("took_ms", &self.took_ms)?;
        map.end()
    }
}

/// Hits with the requested fields.
struct Hits<'a>(&'a [Hit], &'a Fields);

impl Serialize for Hits<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(hits, fields) = self;
        let mut list = serializer.serialize_seq(Some(hits.len()))?;
        for hit in *hits {
            list.serialize_element(&Chosen(hit, fields))?;
        }
        list.end()
    }
}

impl Serialize for Hit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Chosen(self, &Fields::default()).serialize(serializer)
    }
}

struct Chosen<'a>(&'a Hit, &'a Fields);

impl Serialize for Chosen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(hit, fields) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("document_id", &hit.document_id)?;
        map.serialize_entry("chunk", &hit.chunk)?;
        if let Some(highlights) = &hit.highlights {
            map.serialize_entry("highlights", highlights)?;
        }
        for name in Fields::NAMES.into_iter().filter(|name| fields.has(name)) {
            match name {
                "title" => map.serialize_entry(name, &hit.title)?,
                "heading" if hit.heading.is_empty() => {}
                "heading" => map.serialize_entry(name, &hit.heading)?,
                "content" => map.serialize_entry(name, &hit.content)?,
                "metadata" => map.serialize_entry(name, &hit.metadata)?,
                "distance" => map.serialize_entry(name, &hit.distance)?,
                "keyword_score" => map.serialize_entry(name, &hit.keyword_score)?,
                "coverage" => map.serialize_entry(name, &hit.coverage)?,
                "score" => map.serialize_entry(name, &hit.score)?,
                "relevance" => map.serialize_entry(name, &hit.relevance)?,
                "rerank_score" => {
                    if let Some(score) = hit.rerank_score {
                        map.serialize_entry(name, &score)?;
                    }
                }
                _ => {
                    if let Some(explanation) = &hit.explanation {
                        map.serialize_entry(name, explanation)?;
                    }
                }
            }
        }
        map.end()
    }
}

/// Values with their counts, by key.
struct Facets<'a>(&'a [String], &'a [Box<RawValue>]);

impl Serialize for Facets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(keys, values) = self;
        let mut map = serializer.serialize_map(Some(keys.len()))?;
        for (key, values) in keys.iter().zip(*values) {
            map.serialize_entry(key, values)?;
        }
        map.end()
    }
}
