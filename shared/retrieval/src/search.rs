//! A question to its documents: by meaning, by words, or by both.

mod request;

use std::{borrow::Cow, time::Instant};

use database::{Database, DatabaseError, Statement};
use document_store::collapsed;
use embedder::{Kind, Manifest, titled};
use serde::Serialize;
use serde_json::value::RawValue;
use shared::Error;
use sqlx::{FromRow, types::Json};
use telemetry::ms;

pub use self::request::{Mode, Query, Search, SearchRequest};
use crate::{LazyEmbedder, LazyReranker, SearchConfig};

/// The answer to a search.
#[derive(Debug, Serialize)]
pub struct SearchResponse {
    /// The best passage of each document found, best first.
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
    /// The headings that the passage stands under, or the columns of its table; absent if there are none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub heading: String,
    /// The passage, with the neighbours that were asked for.
    pub content: String,
    /// The document's metadata, as Postgres wrote it: it is not parsed on its way.
    pub metadata: Json<Box<RawValue>>,
    /// Cosine distance of passage and question, 0 (same direction) to 2 (opposite).
    pub distance: f64,
    /// BM25 of the passage and its document's title for the question, 0 without a common word.
    pub keyword_score: f64,
    /// `keyword_score` as a share of the most that the question's words can give, 0 to 1: words that few passages have
    /// count for more, and words that none has count too.
    pub coverage: f64,
    /// What hits are ordered by, higher is better: 1 - `distance` in mode `semantic`, `coverage` in mode `keyword`, and
    /// in mode `hybrid` the mean of both by `semantic_weight`. It can be compared between questions.
    pub score: f64,
    /// The estimated probability that the passage answers the question, 0 to 1, in every mode: see
    /// [`Relevance`](embedder::Relevance).
    pub relevance: f64,
    /// What hits are ordered by instead if they were reranked: the cross-encoder's logit, higher is
    /// better, without a scale that two models share.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[sqlx(default)]
    pub rerank_score: Option<f32>,
    /// How `score` came about, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Json<Box<RawValue>>>,
}

/// Milliseconds of a search's parts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Took {
    /// Embedding the question.
    pub embed: f64,
    /// Waiting for the database.
    pub database: f64,
    /// Reranking, if that was asked for; the first time, with the model's loading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rerank: Option<f64>,
    /// Everything in the handler.
    pub total: f64,
}

impl Search {
    /// The candidates that are reranked if fewer hits are wanted. A cross-encoder reads all of them,
    /// so each costs an inference.
    pub const RERANKED: i32 = 50;

    /// Puts another question in place of this search's.
    pub fn set_query(&mut self, query: Query) {
        self.query = query;
    }

    /// Embeds the question and finds its documents: one round trip to the database. Reranks them if
    /// that was asked for.
    ///
    /// # Errors
    /// When the embedding, the database or the reranking fails, or there is no reranker.
    pub async fn run(
        self,
        database: &Database,
        embedder: &LazyEmbedder,
        reranker: &LazyReranker,
        config: &SearchConfig,
    ) -> Result<SearchResponse, Error> {
        let start = Instant::now();
        if self.rerank {
            reranker.require()?;
        }
        let question = self.query.as_str().to_owned();
        let embedding = embedder.embed_one(Kind::Query, question).await?;
        let embed = start.elapsed();
        let hits = self
            .find(database, embedder.manifest(), embedding, config)
            .await?;
        let found = start.elapsed();
        let hits = self.reranked(reranker, hits).await?;
        let total = start.elapsed();
        let took_ms = Took {
            embed: ms(embed),
            database: ms(found.saturating_sub(embed)),
            rerank: self.rerank.then(|| ms(total.saturating_sub(found))),
            total: ms(total),
        };
        Ok(SearchResponse { hits, took_ms })
    }

    /// Finds the documents of a question whose embedding is known; if they are to be reranked, the
    /// candidates for [`Self::reranked`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(
        &self,
        database: &Database,
        model: &Manifest,
        embedding: Vec<f32>,
        config: &SearchConfig,
    ) -> Result<Vec<Hit>, DatabaseError> {
        let (terms, words): (Vec<String>, Vec<i32>) = analysis::query_terms(self.query.as_str())
            .into_iter()
            .unzip();
        let filter = self
            .filter
            .as_ref()
            .map(|filter| filter.as_json().to_owned());
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("search"),
            "($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
        ))
        .bind(model.recipe().to_owned())
        .bind(self.mode.name())
        .bind(embedding)
        .bind(terms)
        .bind(words)
        .bind(self.candidates())
        .bind(filter)
        .bind(self.max_distance)
        .bind(config.effort)
        .bind(self.semantic_weight.unwrap_or(config.semantic_weight))
        .bind(config.k1)
        .bind(config.b)
        .bind(self.query.relevance(model).coefficients())
        .bind(if self.rerank { 0.0 } else { self.min_relevance })
        .bind(self.passages)
        .bind(self.expand)
        .bind(self.explain);
        let mut hits: Vec<Hit> = database.fetch_all(statement).await?;
        for hit in &mut hits {
            if let Cow::Owned(short) = collapsed(&hit.content) {
                hit.content = short;
            }
        }
        Ok(hits)
    }

    /// Orders candidates by the cross-encoder's scores and keeps as many as were wanted; leaves them
    /// as they are unless reranking was asked for.
    ///
    /// # Errors
    /// When there is no reranker, it cannot be loaded or the inference fails.
    pub async fn reranked(
        &self,
        reranker: &LazyReranker,
        mut hits: Vec<Hit>,
    ) -> Result<Vec<Hit>, Error> {
        if !self.rerank {
            return Ok(hits);
        }
        let passages = hits
            .iter()
            .map(|hit| titled(&hit.title, &hit.heading, &hit.content));
        let question = self.query.as_str().to_owned();
        let (scores, relevance) = reranker.rerank(question, passages.collect()).await?;
        for (hit, score) in hits.iter_mut().zip(scores) {
            hit.rerank_score = Some(score);
            if let Some(relevance) = relevance {
                hit.relevance = relevance.of(hit.distance, hit.coverage, score);
            }
        }
        hits.retain(|hit| hit.relevance >= self.min_relevance);
        // Hits with one score keep the order in which they were found.
        let score = |hit: &Hit| hit.rerank_score.unwrap_or(f32::NEG_INFINITY);
        hits.sort_by(|a, b| score(b).total_cmp(&score(a)));
        hits.truncate(usize::try_from(self.limit.get()).unwrap_or_default());
        Ok(hits)
    }

    /// Hits that the database is asked for.
    fn candidates(&self) -> i32 {
        if self.rerank {
            self.limit.get().max(Self::RERANKED)
        } else {
            self.limit.get()
        }
    }
}
