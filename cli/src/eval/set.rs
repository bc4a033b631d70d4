//! A corpus in a database, and the questions asked of it.

use std::{collections::BTreeSet, path::Path, time::Instant};

use anyhow::{Context as _, ensure};
use database::Statement;
use embedder::Kind;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use indicatif::ProgressBar;
use retrieval::{Mode, SearchConfig, SearchRequest, SearchState, Visibility};
use shared::State as _;

use super::files::{Files, Question};
use crate::{
    import,
    metrics::Metrics,
    setup::{SchemaArgs, Setup, Target},
    terminal::note,
};

/// A searchable corpus.
pub(crate) struct JudgedSet {
    /// Number of documents in the database.
    pub(crate) documents: i64,
    setup: Setup,
    state: SearchState,
    rerank: bool,
}

/// A question with its embedding, shared by all modes and settings.
pub(crate) struct EmbeddedQuestion {
    pub(crate) question: Question,
    embedding: Vec<f32>,
    /// Embedding time in milliseconds.
    pub(crate) embed_ms: f64,
}

/// The answer to a question.
pub(crate) struct SearchResult {
    /// The ids of the ten best documents, best first.
    pub(crate) ranking: Vec<String>,
    /// Their relevances.
    pub(crate) relevance: Vec<f64>,
    /// Distance and coverage of the first.
    pub(crate) best: Option<(f64, f64)>,
    /// Database round trip in milliseconds.
    pub(crate) database_ms: f64,
    /// Reranking time in milliseconds, near 0 without it.
    pub(crate) rerank_ms: f64,
}

impl JudgedSet {
    /// Imports the corpus into a separate database of the embedded Postgres. That keeps judged passages out of the
    /// user's documents, and their embeddings for the next run. Without a corpus, the documents of `target` are
    /// searched.
    pub(crate) async fn prepare(target: &Target, files: &Files) -> anyhow::Result<Self> {
        let setup = if let Some(corpus) = &files.corpus {
            Self::imported(target, corpus, &files.corpus_name()).await?
        } else {
            let setup = target.prepare("").await?;
            setup.require_schema().await?;
            setup
        };
        let state = setup.state()?;
        state.warm().await.map_err(anyhow::Error::from_boxed)?;
        // Those that the questions are asked of: documents of tenants are not searched.
        let count = Statement::read("SELECT count(*) FROM rappel.documents WHERE tenant = ''");
        let count: Option<(i64,)> = state.database.fetch_optional(count).await?;
        Ok(Self {
            documents: count.map_or(0, |(count,)| count),
            setup,
            state,
            rerank: false,
        })
    }

    async fn imported(target: &Target, corpus: &Path, name: &str) -> anyhow::Result<Setup> {
        let mut setup = target.prepare(&format!("_eval_{name}")).await?;
        ensure!(
            setup.embedded,
            "a corpus is loaded into a separate database of the embedded Postgres: omit --database-url, or \
             leave --corpus out to search the documents that are loaded there"
        );
        setup.migrate(&SchemaArgs::default()).await?;
        let imported = import::import(&setup, corpus, true).await?;
        note(&imported.to_string());
        Ok(setup)
    }

    /// The same set, with a cross-encoder that reranks every search.
    pub(crate) fn reranking(self) -> anyhow::Result<Self> {
        self.state.reranker.require()?;
        Ok(Self {
            rerank: true,
            ..self
        })
    }

    /// Warns of judged documents that are not searched, and fails if none is: each question would be lost.
    pub(crate) async fn require_judged(&self, questions: &[Question]) -> anyhow::Result<()> {
        let judged: BTreeSet<&str> = questions
            .iter()
            .flat_map(|question| question.judged.keys().map(String::as_str))
            .collect();
        let judged: Vec<String> = judged.into_iter().map(str::to_owned).collect();
        let all = judged.len();
        let missing = Statement::read(
            "SELECT count(*), min(j.id) FROM unnest($1::text[]) AS j (id)
             WHERE NOT EXISTS (SELECT FROM rappel.documents AS d WHERE d.tenant = '' AND d.id = j.id)",
        )
        .bind(judged);
        let missing: Option<(i64, Option<String>)> =
            self.state.database.fetch_optional(missing).await?;
        let (missing, example) = missing.unwrap_or_default();
        let example = example.unwrap_or_default();
        ensure!(
            missing == 0 || usize::try_from(missing).is_ok_and(|missing| missing < all),
            "none of the {all} judged documents, such as {example:?}, is among the documents searched: have they other ids?"
        );
        if missing > 0 {
            note(&format!(
                "warning: {missing} of {all} judged documents, such as {example:?}, are not among the documents searched"
            ));
        }
        Ok(())
    }

    /// The name of the embedding model.
    pub(crate) fn model(&self) -> &str {
        &self.setup.manifest.name
    }

    /// Embeds questions one at a time, as a function does.
    pub(crate) async fn embed(
        &self,
        questions: Vec<Question>,
    ) -> anyhow::Result<Vec<EmbeddedQuestion>> {
        let progress = ProgressBar::new(questions.len() as u64);
        let mut asked = Vec::with_capacity(questions.len());
        for question in questions {
            let start = Instant::now();
            let text = question.text.clone();
            let embedding = self.state.embedder.embed_one(Kind::Query, text).await?;
            asked.push(EmbeddedQuestion {
                question,
                embedding,
                embed_ms: milliseconds_since(start),
            });
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(asked)
    }

    /// Asks every question sequentially, so that each time is that of a single search.
    pub(crate) async fn answers(
        &self,
        asked: &[EmbeddedQuestion],
        mode: Mode,
        config: &SearchConfig,
    ) -> anyhow::Result<Vec<SearchResult>> {
        // The first search of a connection plans and fills caches; in a warm function that is done.
        if let Some(first) = asked.first() {
            self.answer(first, mode, config).await?;
        }
        let progress = ProgressBar::new(asked.len() as u64);
        let mut answers = Vec::with_capacity(asked.len());
        for question in asked {
            answers.push(self.answer(question, mode, config).await?);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(answers)
    }

    /// The mean nDCG@10 of all questions, asked over all connections concurrently.
    pub(crate) async fn ndcg(
        &self,
        asked: &[EmbeddedQuestion],
        mode: Mode,
        config: &SearchConfig,
    ) -> anyhow::Result<f64> {
        let total: f64 = stream::iter(asked)
            .map(async |question| {
                let answer = self.answer(question, mode, config).await?;
                anyhow::Ok(Metrics::of(&answer.ranking, &question.question.judged).ndcg)
            })
            // In file order, so that the sum is reproducible to the last digit.
            .buffered(self.setup.database.connections as usize)
            .try_fold(0.0, async |total, ndcg| Ok(total + ndcg))
            .await?;
        Ok(total / asked.len().max(1) as f64)
    }

    /// Closes the connections, and stops the server if this process started it.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.state.database.close().await;
        self.setup.stop().await
    }

    async fn answer(
        &self,
        asked: &EmbeddedQuestion,
        mode: Mode,
        config: &SearchConfig,
    ) -> anyhow::Result<SearchResult> {
        let request = SearchRequest {
            query: asked.question.text.clone(),
            limit: Some(10),
            mode: Some(mode.name().to_owned()),
            rerank: Some(self.rerank),
            literal: true,
            ..SearchRequest::default()
        };
        let search = request
            .parse()
            .with_context(|| format!("question {}", asked.question.id))?;
        let embedding = asked.embedding.clone();
        let start = Instant::now();
        let hits = search
            .find(
                &self.state.database,
                &Visibility::default(),
                &self.setup.manifest,
                embedding,
                config,
            )
            .await?;
        let database_ms = milliseconds_since(start);
        let start = Instant::now();
        let hits = search.reranked(&self.state.reranker, hits).await?;
        Ok(SearchResult {
            best: hits.first().map(|hit| (hit.distance, hit.coverage)),
            relevance: hits.iter().map(|hit| hit.relevance).collect(),
            ranking: hits.into_iter().map(|hit| hit.document_id).collect(),
            database_ms,
            rerank_ms: milliseconds_since(start),
        })
    }
}

impl SearchResult {
    /// The highest relevance of a hit; 0 without hits.
    pub(crate) fn best_relevance(&self) -> f64 {
        self.relevance.iter().copied().fold(0.0, f64::max)
    }
}

fn milliseconds_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}
