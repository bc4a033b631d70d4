//! A question to its nearest documents.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{FromRow, types::Json};

use crate::{
    Error, State,
    database::{Database, DatabaseError, Statement},
    documents::{Limit, Metadata},
    embedder::Kind,
    error::FieldError,
};

/// A request to `POST /search`, or the parameters of `GET /search`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// The question, 1 to [`Query::MAX_CHARACTERS`] characters.
    pub query: String,
    /// Hits wanted, 1 to 100; 10 if absent.
    pub limit: Option<i64>,
    /// The greatest cosine distance of a hit, 0 to 2.
    pub max_distance: Option<f64>,
    /// Metadata that every hit must contain.
    pub filter: Option<Metadata>,
    /// How hits are found.
    pub mode: Option<String>,
}

/// A search that can be run: every limit holds.
#[derive(Clone, Debug)]
pub struct Search {
    query: Query,
    limit: Limit,
    max_distance: Option<f64>,
    filter: Option<Metadata>,
}

/// A question that is not blank, of at most [`Query::MAX_CHARACTERS`] characters.
#[derive(Clone, Debug)]
pub struct Query(String);

/// The answer to a search.
#[derive(Debug, Serialize)]
pub struct SearchResponse {
    /// The best passage of each document found, nearest first.
    pub hits: Vec<Hit>,
    /// Where the time went.
    pub took_ms: Took,
}

/// One document found, with its best passage.
#[derive(Debug, Serialize, FromRow)]
pub struct Hit {
    /// The document's id.
    pub document_id: String,
    /// The passage's number in the document, from 0.
    pub chunk: i32,
    /// The document's title.
    pub title: String,
    /// The passage.
    pub content: String,
    /// The document's metadata, as Postgres wrote it: it is not parsed on its way.
    pub metadata: Json<Box<RawValue>>,
    /// Cosine distance of passage and question, 0 (same direction) to 2 (opposite).
    pub distance: f64,
    /// Cosine similarity, 1 - distance: higher is better.
    #[sqlx(skip)]
    pub score: f64,
}

/// Milliseconds of a search's parts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Took {
    /// Embedding the question.
    pub embed: f64,
    /// Waiting for the database.
    pub database: f64,
    /// Everything in the handler.
    pub total: f64,
}

impl SearchRequest {
    /// Checks every field and names all that are wrong.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry a field.
    pub fn parse(self) -> Result<Search, Error> {
        let mut errors = Vec::new();
        let query = Query::parse(self.query)
            .map_err(|error| errors.push(error))
            .ok();
        let limit = Limit::parse(self.limit, Limit::SEARCH_DEFAULT)
            .map_err(|error| errors.push(error))
            .ok();
        if let Some(distance) = self.max_distance
            && !(0.0..=2.0).contains(&distance)
        {
            errors.push(FieldError::new(
                "max_distance",
                "must be a cosine distance from 0 to 2",
            ));
        }
        errors.extend(self.mode.as_deref().and_then(unavailable_mode));
        errors.extend(
            self.filter
                .as_ref()
                .and_then(|filter| filter.unstorable("filter")),
        );
        match (query, limit) {
            (Some(query), Some(limit)) if errors.is_empty() => Ok(Search {
                query,
                limit,
                max_distance: self.max_distance,
                filter: self.filter,
            }),
            _ => Err(Error::Invalid(errors)),
        }
    }
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
                    "must have 1 to {} characters, not only blanks",
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
}

impl Search {
    /// Embeds the question and finds the nearest documents: one round trip to the database.
    ///
    /// # Errors
    /// When the embedding or the database fails.
    pub async fn run(self, state: &State) -> Result<SearchResponse, Error> {
        let start = Instant::now();
        let embedding = state.embed_one(Kind::Query, self.query.0.clone()).await?;
        let embed = start.elapsed();
        let hits = self
            .nearest(
                state.database(),
                &state.manifest()?.name,
                embedding,
                state.search_effort(),
            )
            .await?;
        let total = start.elapsed();
        let took_ms = Took {
            embed: ms(embed),
            database: ms(total.saturating_sub(embed)),
            total: ms(total),
        };
        Ok(SearchResponse { hits, took_ms })
    }

    /// Finds the documents nearest to an embedding.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn nearest(
        &self,
        database: &Database,
        model: &str,
        embedding: Vec<f32>,
        effort: i32,
    ) -> Result<Vec<Hit>, DatabaseError> {
        let statement =
            Statement::read("SELECT * FROM rappel.search($1, $2, $3, $4::jsonb, $5, $6)")
                .bind(model.to_owned())
                .bind(embedding)
                .bind(self.limit.get())
                .bind(
                    self.filter
                        .as_ref()
                        .map(|filter| filter.as_json().to_owned()),
                )
                .bind(self.max_distance)
                .bind(effort);
        let mut hits: Vec<Hit> = database.fetch_all(statement).await?;
        for hit in &mut hits {
            hit.score = 1.0 - hit.distance;
        }
        Ok(hits)
    }
}

/// Says of a mode other than `semantic` why it cannot be used.
fn unavailable_mode(mode: &str) -> Option<FieldError> {
    match mode {
        "semantic" => None,
        "keyword" | "hybrid" => Some(FieldError::new(
            "mode",
            format!("{mode:?} is not available yet; use \"semantic\""),
        )),
        _ => Some(FieldError::new(
            "mode",
            format!("{mode:?} is not a mode; use \"semantic\""),
        )),
    }
}

/// Milliseconds, to the microsecond.
fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
