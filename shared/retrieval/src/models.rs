//! The models of a sandbox: loaded on first use, and run off the threads that serve requests.

use std::{panic, sync::Arc};

use document_store::{BoxError, Prepared, Tenant};
use embedder::{
    Embedder, EmbedderError, Kind, Manifest, ModelConfig, RerankedRelevance, Reranker,
    RerankerError,
};
use futures_util::future::BoxFuture;
use json::FieldError;
use once_cell::sync::OnceCell;
use shared::Error;
use telemetry::Phase;
use tokio::task::spawn_blocking;

use crate::{embed, questions::QuestionCache};

/// The embedding model: its manifest, read at start, and the embedder, loaded on first use.
#[derive(Clone)]
pub struct LazyEmbedder {
    inner: Arc<EmbedderCell>,
}

struct EmbedderCell {
    config: ModelConfig,
    manifest: Manifest,
    embedder: OnceCell<Embedder>,
    questions: QuestionCache,
}

impl LazyEmbedder {
    /// Reads the model's manifest. Keeps the embeddings of at most `questions` questions.
    ///
    /// # Errors
    /// When the manifest is missing or wrong.
    pub fn new(config: ModelConfig, questions: usize) -> Result<Self, EmbedderError> {
        let manifest = Manifest::read(&config.folder)?;
        Ok(Self {
            inner: Arc::new(EmbedderCell {
                config,
                manifest,
                embedder: OnceCell::new(),
                questions: QuestionCache::new(questions),
            }),
        })
    }

    /// The model's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// Loads the model.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn load(&self) -> Result<(), EmbedderError> {
        let inner = Arc::clone(&self.inner);
        spawn_blocking(move || inner.embedder().map(drop))
            .await
            .unwrap_or_else(|panic| panic::resume_unwind(panic.into_panic()))
    }

    /// Embeds one text.
    ///
    /// # Errors
    /// When the model cannot be loaded or the inference fails.
    pub async fn embed_one(&self, kind: Kind, text: String) -> Result<Vec<f32>, Error> {
        self.with(move |embedder| embedder.embed_one(kind, &text))
            .await
    }

    /// Embeds a tenant's question, and says whether its embedding was kept from an earlier time that it asked.
    ///
    /// # Errors
    /// As [`Self::embed_one`].
    pub async fn embed_question(
        &self,
        tenant: &Tenant,
        question: &str,
    ) -> Result<(Vec<f32>, bool), Error> {
        let questions = &self.inner.questions;
        let asked = (tenant.clone(), question.to_owned());
        let kept = questions.get(&asked);
        let is_kept = kept.is_some();
        telemetry::gauge("question_cache_hits", "Count", f64::from(u8::from(is_kept)));
        if let Some(embedding) = kept {
            return Ok((embedding, is_kept));
        }
        let embedding = self.embed_one(Kind::Query, question.to_owned()).await?;
        questions.put(asked, embedding.clone());
        Ok((embedding, is_kept))
    }

    /// Chunks and embeds documents.
    ///
    /// # Errors
    /// When the model cannot be loaded or the inference fails.
    pub async fn embed_documents(
        &self,
        mut documents: Vec<Prepared>,
    ) -> Result<Vec<Prepared>, Error> {
        self.with(move |embedder| {
            embed(embedder, &mut documents)?;
            Ok(documents)
        })
        .await
    }

    /// Chunks and embeds documents for a writer that links no model.
    pub fn embed(
        &self,
    ) -> impl Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>>
    + Send
    + Sync
    + use<> {
        let embedder = self.clone();
        move |documents| {
            let embedder = embedder.clone();
            Box::pin(async move { Ok(embedder.embed_documents(documents).await?) })
        }
    }

    /// Counts the tokens of each text with the model's tokenizer.
    ///
    /// # Errors
    /// When the model cannot be loaded or a text cannot be tokenized.
    pub async fn count_tokens(&self, texts: Vec<String>) -> Result<Vec<usize>, Error> {
        self.with(move |embedder| {
            texts
                .iter()
                .map(|text| embedder.count_tokens(text))
                .collect()
        })
        .await
    }

    pub(crate) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Embedder) -> Result<T, EmbedderError> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        let task = spawn_blocking(move || {
            let embedder = inner.embedder()?;
            // A sandbox serves one request at a time.
            let before = embedder.tokens_read();
            let outcome = work(embedder)?;
            Ok((outcome, embedder.tokens_read() - before))
        });
        let _measured = telemetry::measure(Phase::Embed);
        let outcome = task.await.map_err(Error::unfinished)?;
        let (outcome, tokens) = outcome.map_err(|error: EmbedderError| Error::internal(&error))?;
        telemetry::used(|usage| usage.embedded_tokens += tokens);
        Ok(outcome)
    }
}

impl EmbedderCell {
    fn embedder(&self) -> Result<&Embedder, EmbedderError> {
        self.embedder
            .get_or_try_init(|| Embedder::load(&self.config))
    }
}

/// A reranker that costs nothing until a request needs it: not even its folder is read.
#[derive(Clone)]
pub struct LazyReranker {
    config: Option<ModelConfig>,
    reranker: Arc<OnceCell<Reranker>>,
}

impl LazyReranker {
    /// The reranker of `config`; `None` refuses every request for it.
    #[must_use]
    pub fn new(config: Option<ModelConfig>) -> Self {
        Self {
            config,
            reranker: Arc::default(),
        }
    }

    /// Refuses the field `rerank` where there is no reranker.
    ///
    /// # Errors
    /// Names the missing variable.
    pub fn require(&self) -> Result<(), FieldError> {
        self.config().map(drop)
    }

    /// Scores passages for a question, in their order; higher is better. Also returns the conversion of scores to a
    /// relevance, if the reranker's manifest has one.
    ///
    /// # Errors
    /// When there is no reranker, it cannot be loaded or the inference fails.
    pub async fn rerank(
        &self,
        question: String,
        passages: Vec<String>,
    ) -> Result<(Vec<f32>, Option<RerankedRelevance>), Error> {
        let config = self.config()?.clone();
        let cell = Arc::clone(&self.reranker);
        let task = spawn_blocking(move || -> Result<_, RerankerError> {
            let reranker = cell.get_or_try_init(|| Reranker::load(&config))?;
            let scores = reranker.rerank(&question, &passages)?;
            Ok((scores, reranker.relevance()))
        });
        let _measured = telemetry::measure(Phase::Rerank);
        let outcome = task.await.map_err(Error::unfinished)?;
        outcome.map_err(|error| Error::internal(&error))
    }

    fn config(&self) -> Result<&ModelConfig, FieldError> {
        self.config.as_ref().ok_or_else(|| {
            let detail = format!(
                "no reranker is configured: set {} to the folder of one",
                ModelConfig::RERANKER_FOLDER
            );
            FieldError::new("rerank", detail)
        })
    }
}
