//! Requests of a search, and their limits.

use std::ops::RangeInclusive;

use document_store::{Count, Limit, MAX_METADATA_FIELDS};
use embedder::{Manifest, Relevance};
use filter::Filter;
use json::FieldError;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;
use shared::Error;

use super::{facets::Facets, fields::Fields, wording::Wording};
use crate::SearchConfig;

/// A request to `POST /search`, or the parameters of `GET /search`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// The question; not only blanks. In the modes `keyword` and `hybrid`, `"a phrase"` in straight quotes is in each
    /// hit, and `-word` in no hit's document.
    #[schemars(length(min = 1, max = Query::MAX_CHARACTERS), pattern(r"\S"))]
    pub query: String,
    /// The most hits, 1 to 100; 10 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
    /// The maximum cosine distance of a hit, 0 to 2, in every mode.
    #[schemars(range(min = 0, max = 2))]
    pub max_distance: Option<f64>,
    /// The minimum relevance of a hit, 0 to 1; 0 if absent.
    #[schemars(range(min = 0, max = 1))]
    pub min_relevance: Option<f64>,
    /// What each hit's document must match.
    #[schemars(with = "Option<Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// How hits are found: `semantic`, `keyword` or `hybrid`, which is the default.
    #[schemars(with = "Option<Mode>")]
    pub mode: Option<String>,
    /// The weight of similarity in a hybrid score, 0 to 1, against coverage; the configured one if absent.
    #[schemars(range(min = 0, max = 1))]
    pub semantic_weight: Option<f64>,
    /// The most hits of one document; neighbouring ones are merged; 1 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Search::MAX_PASSAGES))]
    pub passages: Option<i64>,
    /// Neighbouring chunks on each side to merge into a hit's content; 0 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 0, max = Search::MAX_EXPAND))]
    pub expand: Option<i64>,
    /// Whether hits explain their scores.
    pub explain: Option<bool>,
    /// Whether a cross-encoder reranks the candidates.
    pub rerank: Option<bool>,
    /// How many hits to skip; 0 if absent.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 0, max = Search::MAX_OFFSET))]
    pub offset: Option<i64>,
    /// How to count the documents that match the filter: `estimate` (the default), `exact` or `none`.
    #[schemars(with = "Option<Count>")]
    pub count: Option<String>,
    /// Metadata keys whose values to count among the candidates.
    #[schemars(length(max = Search::MAX_FACETS))]
    pub facets: Option<Vec<String>>,
    /// The fields of hits; all if absent.
    #[schemars(schema_with = "Fields::schema", default)]
    pub fields: Option<Vec<String>>,
    /// The metadata keys of hits; all if absent.
    #[schemars(length(max = MAX_METADATA_FIELDS))]
    pub metadata_fields: Option<Vec<String>>,
    /// Whether hits tell where `title` and `content` have the question's words.
    pub highlight: Option<bool>,
    /// Whether the question's last word may be the beginning of one, for search-as-you-type. Not in mode `semantic`.
    pub prefix: Option<bool>,
    /// Whether quotes and hyphens of the question are punctuation in every mode, as they are in prose.
    #[serde(skip)]
    pub literal: bool,
}

/// A valid search.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent option of a request"
)]
pub struct Search {
    pub(super) query: Query,
    pub(super) wording: Wording,
    pub(super) limit: Limit,
    pub(super) max_distance: Option<f64>,
    pub(super) min_relevance: f64,
    pub(super) filter: Option<Filter>,
    pub(super) mode: Mode,
    pub(super) semantic_weight: Option<f64>,
    pub(super) passages: i32,
    pub(super) expand: i32,
    pub(super) explain: bool,
    pub(super) rerank: bool,
    pub(super) offset: i32,
    pub(super) count: Count,
    pub(super) facets: Facets,
    pub(super) fields: Fields,
    pub(super) highlight: bool,
    pub(super) prefix: bool,
}

/// A question that is not blank, of at most [`Query::MAX_CHARACTERS`] characters.
#[derive(Clone, Debug)]
pub struct Query(String);

/// How hits are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Mode {
    /// By the distance of embeddings.
    Semantic,
    /// By BM25 of the question's words.
    Keyword,
    /// By both, fused.
    #[default]
    Hybrid,
}

impl SearchRequest {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry per invalid field.
    pub fn parse(self) -> Result<Search, Error> {
        let mut errors = Vec::new();
        let query = noted(Query::parse(self.query), &mut errors);
        let limit = noted(Limit::parse(self.limit, Limit::SEARCH_DEFAULT), &mut errors);
        let mode = noted(Mode::parse(self.mode.as_deref()), &mut errors);
        let wording = match (&query, mode) {
            (Some(query), Some(Mode::Keyword | Mode::Hybrid)) if !self.literal => {
                noted(Wording::parse(query.as_str()), &mut errors)
            }
            (query, _) => query.as_ref().map(|query| Wording::literal(query.as_str())),
        };
        let passages = within("passages", self.passages, 1, 1..=Search::MAX_PASSAGES);
        let passages = noted(passages, &mut errors);
        let expand = noted(
            within("expand", self.expand, 0, 0..=Search::MAX_EXPAND),
            &mut errors,
        );
        let offset = noted(
            within("offset", self.offset, 0, 0..=Search::MAX_OFFSET),
            &mut errors,
        );
        let count = noted(Count::parse(self.count.as_deref()), &mut errors);
        let filter = self
            .filter
            .map(|filter| Filter::parse(filter.get()))
            .transpose();
        let filter = noted(filter, &mut errors);
        let facets = noted(Facets::parse(self.facets.unwrap_or_default()), &mut errors);
        let fields = noted(
            Fields::parse(self.fields, self.metadata_fields),
            &mut errors,
        );
        let rerank = self.rerank.unwrap_or_default();
        if let (Some(limit), Some(offset)) = (limit, offset) {
            errors.extend(beyond_reranked(rerank, limit, offset));
        }
        if self.prefix == Some(true) && mode == Some(Mode::Semantic) {
            let detail = "needs words: the mode must be \"keyword\" or \"hybrid\"";
            errors.push(FieldError::new("prefix", detail));
        }
        errors.extend(self.max_distance.and_then(|distance| {
            let expected = "must be a cosine distance from 0 to 2";
            (!(0.0..=2.0).contains(&distance)).then(|| FieldError::new("max_distance", expected))
        }));
        errors.extend(self.min_relevance.and_then(|relevance| {
            let expected = "must be from 0 (everything) to 1";
            (!(0.0..=1.0).contains(&relevance)).then(|| FieldError::new("min_relevance", expected))
        }));
        errors.extend(self.semantic_weight.and_then(|weight| {
            let expected = "must be from 0 (keywords alone) to 1 (meaning alone)";
            (!SearchConfig::WEIGHTS.contains(&weight))
                .then(|| FieldError::new("semantic_weight", expected))
        }));
        let search = || {
            Some(Search {
                query: query?,
                wording: wording?,
                limit: limit?,
                max_distance: self.max_distance,
                min_relevance: self.min_relevance.unwrap_or_default(),
                filter: filter?,
                mode: mode?,
                semantic_weight: self.semantic_weight,
                passages: passages?,
                expand: expand?,
                explain: self.explain.unwrap_or_default(),
                rerank,
                offset: offset?,
                count: count?,
                facets: facets?,
                fields: fields?,
                highlight: self.highlight.unwrap_or_default(),
                prefix: self.prefix.unwrap_or_default(),
            })
        };
        match search() {
            Some(search) if errors.is_empty() => Ok(search),
            _ => Err(Error::Invalid(errors)),
        }
    }
}

impl Search {
    /// The most neighbouring chunks on each side of a hit: a hit then has about 10,000 tokens, and 100 hits fit
    /// Lambda's 6 MB.
    pub const MAX_EXPAND: i32 = 10;
    /// The most hits of one document.
    pub const MAX_PASSAGES: i32 = 10;
    /// The largest offset.
    pub const MAX_OFFSET: i32 = 1_000;
    /// The most facets.
    pub const MAX_FACETS: usize = Facets::MAX;
}

impl Query {
    /// Characters of the longest question.
    pub const MAX_CHARACTERS: usize = 2_000;

    /// Refuses a blank or too long question.
    ///
    /// # Errors
    /// Names the field `query` and the limit.
    pub fn parse(text: String) -> Result<Self, FieldError> {
        let characters = text.chars().count();
        if text.trim().is_empty() {
            Err(FieldError::new(
                "query",
                format!(
                    "must have 1 to {} characters that are not all white space",
                    Self::MAX_CHARACTERS
                ),
            ))
        } else if characters > Self::MAX_CHARACTERS {
            Err(FieldError::new(
                "query",
                format!(
                    "has {characters} characters; the limit is {}",
                    Self::MAX_CHARACTERS
                ),
            ))
        } else {
            Ok(Self(text))
        }
    }

    /// The relevance function for this question: nothing answers a text without a letter or a digit, however near it
    /// is.
    pub(super) fn relevance(&self, model: &Manifest) -> Relevance {
        if self.has_words() {
            model.relevance
        } else {
            Relevance::NONE
        }
    }

    /// Whether it has a letter or a digit.
    pub(super) fn has_words(&self) -> bool {
        self.0.contains(char::is_alphanumeric)
    }

    /// The question's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mode {
    /// Every mode, in the order of the documentation.
    pub const ALL: [Self; 3] = [Self::Semantic, Self::Keyword, Self::Hybrid];

    /// The word that requests use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Semantic => "semantic",
            Self::Keyword => "keyword",
            Self::Hybrid => "hybrid",
        }
    }

    fn parse(name: Option<&str>) -> Result<Self, FieldError> {
        let Some(name) = name else {
            return Ok(Self::default());
        };
        let refused = || {
            let detail =
                format!("{name:?} is not a mode; use \"semantic\", \"keyword\" or \"hybrid\"");
            FieldError::new("mode", detail)
        };
        Self::ALL
            .into_iter()
            .find(|mode| mode.name() == name)
            .ok_or_else(refused)
    }
}

/// The parsed value, or `None` after noting the error.
fn noted<T>(outcome: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

/// Refuses a page that ends after the reranker's last candidate: the rest has no order.
fn beyond_reranked(rerank: bool, limit: Limit, offset: i32) -> Option<FieldError> {
    let most = Search::RERANKED;
    (rerank && offset > 0 && offset + limit.get() > most).then(|| {
        let detail =
            format!("is {offset}; with rerank, offset and limit together are at most {most}");
        FieldError::new("offset", detail)
    })
}

/// A whole number of a request, or its default.
fn within(
    field: &str,
    number: Option<i64>,
    absent: i32,
    allowed: RangeInclusive<i32>,
) -> Result<i32, FieldError> {
    let Some(number) = number else {
        return Ok(absent);
    };
    i32::try_from(number)
        .ok()
        .filter(|number| allowed.contains(number))
        .ok_or_else(|| {
            let (least, most) = allowed.into_inner();
            FieldError::new(field, format!("is {number}; {least} to {most} are allowed"))
        })
}
