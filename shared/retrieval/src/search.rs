//! Searches: by meaning, by words, or by both.

mod answer;
mod facets;
mod fields;
mod highlights;
mod request;
mod wording;

use std::{borrow::Cow, time::Instant};

use database::{Database, DatabaseError, Statement};
use document_store::{Visibility, collapsed};
use embedder::{Manifest, titled};
use shared::Error;
use telemetry::ms;

use self::{answer::Row, wording::Wording};
pub use self::{
    answer::{Hit, SearchResponse, Summary, Took},
    fields::Fields,
    highlights::{Highlights, Range},
    request::{Mode, Query, Search, SearchRequest},
};
use crate::{LazyEmbedder, LazyReranker, SearchConfig};

impl Search {
    /// The candidates to rerank if the limit is lower. Each costs an inference of the cross-encoder.
    pub const RERANKED: i32 = 50;

    /// Replaces the question by one in prose: its quotes and hyphens are punctuation.
    pub fn set_query(&mut self, query: Query) {
        self.wording = Wording::literal(query.as_str());
        self.query = query;
    }

    /// Allows as many hits of one document as there may be.
    #[must_use]
    pub fn of_any_document(self) -> Self {
        Self {
            passages: self.limit.get().min(Self::MAX_PASSAGES),
            ..self
        }
    }

    /// Embeds the question and finds its visible documents: one round trip to the database. Reranks them on request.
    ///
    /// # Errors
    /// When the embedding, the database or the reranking fails, or there is no reranker.
    pub async fn run(
        self,
        database: &Database,
        visibility: &Visibility,
        embedder: &LazyEmbedder,
        reranker: &LazyReranker,
        config: &SearchConfig,
    ) -> Result<SearchResponse, Error> {
        let start = Instant::now();
        if self.rerank {
            reranker.require()?;
        }
        let question = self.wording.text.as_str();
        let (embedding, cached) = embedder
            .embed_question(&visibility.tenant, question)
            .await?;
        let embed = start.elapsed();
        let (hits, summary) = self
            .fetch(database, visibility, embedder.manifest(), embedding, config)
            .await?;
        let found = start.elapsed();
        let mut hits = self.reranked(reranker, hits).await?;
        if self.highlight {
            let completions = summary.completions.as_deref().unwrap_or_default();
            self.mark(&mut hits, completions);
        }
        let total = start.elapsed();
        let took_ms = Took {
            embed: ms(embed),
            embedding_cached: cached,
            database: ms(found.saturating_sub(embed)),
            rerank: self.rerank.then(|| ms(total.saturating_sub(found))),
            total: ms(total),
        };
        Ok(SearchResponse {
            hits,
            summary,
            took_ms,
            fields: self.fields,
            facets: self.facets.keys,
        })
    }

    /// Finds the documents of an embedded question; with reranking, the candidates for [`Self::reranked`].
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(
        &self,
        database: &Database,
        visibility: &Visibility,
        model: &Manifest,
        embedding: Vec<f32>,
        config: &SearchConfig,
    ) -> Result<Vec<Hit>, DatabaseError> {
        let (hits, _) = self
            .fetch(database, visibility, model, embedding, config)
            .await?;
        Ok(hits)
    }

    async fn fetch(
        &self,
        database: &Database,
        visibility: &Visibility,
        model: &Manifest,
        embedding: Vec<f32>,
        config: &SearchConfig,
    ) -> Result<(Vec<Hit>, Summary), DatabaseError> {
        let terms = analysis::query_terms(&self.wording.text);
        let words: Vec<i32> = terms.iter().map(|asked| asked.word).collect();
        let pieces: Vec<i32> = terms.iter().map(|asked| asked.piece).collect();
        let terms: Vec<String> = terms.into_iter().map(|asked| asked.term).collect();
        // The language of a title is guessed with the content.
        let with_content = self.rerank || self.highlight || self.fields.has("content");
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("search"),
            "($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, \
             $19, $20, $21, $22, $23, $24::jsonb, $25, $26)",
        ))
        .bind(visibility.tenant())
        .bind(model.recipe().to_owned())
        .bind(self.mode.name())
        .bind(embedding)
        .bind(terms)
        .bind(words)
        .bind(self.candidates())
        .bind(visibility.within(self.filter.as_ref()))
        .bind(self.max_distance)
        .bind(config.effort)
        .bind(self.semantic_weight.unwrap_or(config.semantic_weight))
        .bind(config.k1)
        .bind(config.b)
        .bind(self.query.relevance(model).coefficients())
        .bind(if self.rerank { 0.0 } else { self.min_relevance })
        .bind(self.passages)
        .bind(self.expand)
        .bind(self.explain)
        .bind(if self.rerank { 0 } else { self.offset })
        .bind(self.count.name())
        .bind(self.facets.paths())
        .bind(with_content)
        .bind(self.fields.metadata())
        .bind(self.wording.to_json())
        .bind(self.beginning())
        .bind(pieces);
        let rows: Vec<Row> = database.fetch_all(statement).await?;
        let (mut hits, mut summary) = (Vec::with_capacity(rows.len()), Summary::default());
        for row in rows {
            match row {
                Row::Hit(mut hit) => {
                    if let Cow::Owned(short) = collapsed(&hit.content) {
                        hit.content = short;
                    }
                    hits.push(hit);
                }
                Row::Summary(row) => summary = row,
            }
        }
        Ok((hits, summary))
    }

    /// The question's last word, if it may be the beginning of one.
    fn beginning(&self) -> Option<String> {
        // An excluded word or a phrase at the end is whole.
        let asked = |text| self.prefix.then(|| analysis::beginning(text)).flatten();
        asked(&self.wording.text).filter(|word| asked(self.query.as_str()).as_ref() == Some(word))
    }

    /// Adds the ranges of the question's words, and of the terms that complete its last one.
    fn mark(&self, hits: &mut [Hit], completions: &[String]) {
        let terms = analysis::query_terms(&self.wording.text).into_iter();
        let terms = terms.map(|asked| asked.term);
        let asked = terms.chain(completions.iter().cloned()).collect();
        for hit in hits {
            let texts = (hit.title.as_str(), hit.content.as_str());
            let language = hit.language.as_deref();
            hit.highlights = Some(Highlights::of(texts, language, &self.fields, &asked));
        }
    }

    /// Sorts candidates by the cross-encoder's scores and keeps the requested number; without reranking, returns
    /// them unchanged.
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
        let question = self.wording.text.clone();
        let (scores, relevance) = reranker.rerank(question, passages.collect()).await?;
        let relevance = relevance.filter(|_| self.query.has_words());
        for (hit, score) in hits.iter_mut().zip(scores) {
            hit.rerank_score = Some(score);
            if let Some(relevance) = relevance {
                hit.relevance = relevance.of(hit.distance, hit.coverage, score);
            }
        }
        hits.retain(|hit| hit.relevance >= self.min_relevance);
        // The sort is stable: hits with equal scores keep their order.
        let score = |hit: &Hit| hit.rerank_score.unwrap_or(f32::NEG_INFINITY);
        hits.sort_by(|a, b| score(b).total_cmp(&score(a)));
        let count = |number: i32| usize::try_from(number).unwrap_or_default();
        Ok(hits
            .into_iter()
            .skip(count(self.offset))
            .take(count(self.limit.get()))
            .collect())
    }

    /// The number of hits to request from the database.
    fn candidates(&self) -> i32 {
        if self.rerank {
            self.limit.get().max(Self::RERANKED)
        } else {
            self.limit.get()
        }
    }
}
