//! What a sandbox keeps between requests: the pool and the models, built once.

use std::sync::Arc;

use once_cell::sync::OnceCell;

use crate::{
    Config, Error,
    config::{ChatConfig, ConfigError, LanguageModelConfig, ModelConfig, Needs, SearchConfig},
    database::{Cause, Database, DatabaseError},
    documents::Prepared,
    embedder::{Embedder, EmbedderError, Kind, Manifest},
    error::FieldError,
    imports::Imports,
    language_model::{LanguageModel, LanguageModelError},
    migrations,
    reranker::{RerankedRelevance, Reranker, RerankerError},
    telemetry::{self, Part},
};

/// The state of a function, shared by all its requests.
#[derive(Clone)]
pub struct State {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    model: Option<Model>,
    reranker: Option<LazyReranker>,
    search: SearchConfig,
    language_model: Option<LanguageModel>,
    chat: ChatConfig,
    imports: Option<Imports>,
}

/// The model's manifest, read at start, and the embedder, loaded when it is first needed.
struct Model {
    config: ModelConfig,
    manifest: Manifest,
    embedder: OnceCell<Embedder>,
}

/// A reranker that costs nothing until a request asks for it: not even its folder is looked at.
struct LazyReranker {
    config: ModelConfig,
    reranker: OnceCell<Reranker>,
}

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model cannot be loaded.
    #[error(transparent)]
    Embedder(#[from] EmbedderError),
    /// The database can never serve with these settings.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The language model's client cannot be built.
    #[error(transparent)]
    LanguageModel(#[from] LanguageModelError),
    /// The client of the queue cannot be built.
    #[error("the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

impl State {
    /// Reads the settings and builds the pool, without I/O to the database.
    ///
    /// # Errors
    /// When a setting is missing or wrong, or the model's folder is.
    pub fn new(config: Config) -> Result<Self, StartError> {
        let model = config.model.map(Model::new).transpose()?;
        let database = Database::new(&config.database)?;
        let language_model = config
            .language_model
            .as_ref()
            .map(LanguageModel::new)
            .transpose()?;
        let imports = config.imports.map(Imports::new).transpose()?;
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                model,
                reranker: config.reranker.map(|config| LazyReranker {
                    config,
                    reranker: OnceCell::new(),
                }),
                search: config.search,
                language_model,
                chat: config.chat,
                imports,
            }),
        })
    }

    /// The state of the function called `function`, from its environment.
    ///
    /// # Errors
    /// As [`State::new`].
    pub fn from_env(function: &str, needs: Needs) -> Result<Self, StartError> {
        Self::new(Config::from_env(function, needs)?)
    }

    /// Makes the first connection and loads the model, side by side, while Lambda still counts the
    /// time as Init. A database that is away does not keep the function from starting: a request
    /// tries again.
    ///
    /// # Errors
    /// When the model cannot be loaded, the database was embedded by another one, or `DATABASE_POOLER` says
    /// that there is no pooler and there is one.
    pub async fn warm(&self) -> Result<(), StartError> {
        let (database, embedder) = tokio::join!(self.check_database(), self.load_embedder());
        embedder?;
        match database {
            Err(
                wrong @ (DatabaseError::ModelMismatch(_)
                | DatabaseError::Unavailable {
                    cause: Cause::Pooler,
                    ..
                }),
            ) => Err(wrong.into()),
            Err(error) => {
                tracing::warn!(%error, "the database did not answer at start; requests will try again");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// The database.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.inner.database
    }

    /// How this function's searches rank.
    #[must_use]
    pub fn search_config(&self) -> &SearchConfig {
        &self.inner.search
    }

    /// The limits of this function's chats.
    #[must_use]
    pub fn chat_config(&self) -> &ChatConfig {
        &self.inner.chat
    }

    /// The language model.
    ///
    /// # Errors
    /// [`LanguageModelError::NotConfigured`], which names what is not set.
    pub fn language_model(&self) -> Result<&LanguageModel, Error> {
        self.inner
            .language_model
            .as_ref()
            .ok_or_else(|| LanguageModelError::NotConfigured(LanguageModelConfig::unset()).into())
    }

    /// Bulk imports.
    ///
    /// # Errors
    /// In a function that was built without them.
    pub fn imports(&self) -> Result<&Imports, Error> {
        self.inner
            .imports
            .as_ref()
            .ok_or_else(|| Error::Internal("this function is built without imports".to_owned()))
    }

    /// The configured model's manifest.
    ///
    /// # Errors
    /// In a function that was built without a model.
    pub fn manifest(&self) -> Result<&Manifest, Error> {
        self.model().map(|model| &model.manifest)
    }

    /// Embeds one text away from the threads that serve requests.
    ///
    /// # Errors
    /// When the model cannot be loaded or the inference fails.
    pub async fn embed_one(&self, kind: Kind, text: String) -> Result<Vec<f32>, Error> {
        self.with_embedder(move |embedder| embedder.embed_one(kind, &text))
            .await
    }

    /// Chunks and embeds documents away from the threads that serve requests.
    ///
    /// # Errors
    /// When the model cannot be loaded or the inference fails.
    pub async fn embed_documents(
        &self,
        mut documents: Vec<Prepared>,
    ) -> Result<Vec<Prepared>, Error> {
        self.with_embedder(move |embedder| {
            Prepared::embed(embedder, &mut documents)?;
            Ok(documents)
        })
        .await
    }

    /// The tokens of each text, counted with the embedding model's tokenizer away from the threads that
    /// serve requests.
    ///
    /// # Errors
    /// When the model cannot be loaded or a text not be tokenized.
    pub async fn count_tokens(&self, texts: Vec<String>) -> Result<Vec<usize>, Error> {
        self.with_embedder(move |embedder| {
            texts
                .iter()
                .map(|text| embedder.count_tokens(text))
                .collect()
        })
        .await
    }

    /// Refuses the field `rerank` where there is no reranker.
    ///
    /// # Errors
    /// [`Error::Invalid`], which names the variable that is missing.
    pub fn require_reranker(&self) -> Result<(), Error> {
        self.reranker().map(drop)
    }

    /// Scores passages for a question away from the threads that serve requests, each at its
    /// passage's place; the higher, the better it answers. Also tells how the scores tell relevance, if the reranker's
    /// manifest does.
    ///
    /// # Errors
    /// When there is no reranker, it cannot be loaded or the inference fails.
    pub async fn rerank(
        &self,
        question: String,
        passages: Vec<String>,
    ) -> Result<(Vec<f32>, Option<RerankedRelevance>), Error> {
        let state = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let reranker = state.reranker()?.loaded()?;
            let scores = reranker.rerank(&question, &passages)?;
            Ok((scores, reranker.relevance()))
        });
        let _measured = telemetry::measure(Part::Rerank);
        task.await.map_err(Error::unfinished)?
    }

    async fn with_embedder<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Embedder) -> Result<T, EmbedderError> + Send + 'static,
    ) -> Result<T, Error> {
        let state = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let model = state.model()?;
            work(model.embedder()?).map_err(Error::from)
        });
        let _measured = telemetry::measure(Part::Embed);
        task.await.map_err(Error::unfinished)?
    }

    async fn check_database(&self) -> Result<(), DatabaseError> {
        match &self.inner.model {
            Some(model) => migrations::require_model(self.database(), &model.manifest).await,
            None => self.database().warm().await,
        }
    }

    async fn load_embedder(&self) -> Result<(), EmbedderError> {
        let state = self.clone();
        let load = move || {
            state
                .inner
                .model
                .as_ref()
                .map_or(Ok(()), |model| model.embedder().map(drop))
        };
        tokio::task::spawn_blocking(load)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn model(&self) -> Result<&Model, Error> {
        self.inner
            .model
            .as_ref()
            .ok_or_else(|| Error::Internal("this function is built without a model".to_owned()))
    }

    fn reranker(&self) -> Result<&LazyReranker, Error> {
        self.inner.reranker.as_ref().ok_or_else(|| {
            let detail = format!(
                "there is no reranker here: set {} to the folder of one",
                ModelConfig::RERANKER_FOLDER
            );
            FieldError::new("rerank", detail).into()
        })
    }
}

impl LazyReranker {
    fn loaded(&self) -> Result<&Reranker, RerankerError> {
        self.reranker
            .get_or_try_init(|| Reranker::load(&self.config))
    }
}

impl Model {
    fn new(config: ModelConfig) -> Result<Self, EmbedderError> {
        let manifest = Manifest::read(&config.folder)?;
        Ok(Self {
            config,
            manifest,
            embedder: OnceCell::new(),
        })
    }

    fn embedder(&self) -> Result<&Embedder, EmbedderError> {
        self.embedder
            .get_or_try_init(|| Embedder::load(&self.config))
    }
}
