//! The states of the functions that embed.

use std::sync::Arc;

use database::{Database, DatabaseConfig};
use document_store::{ALL_TENANTS, Visibility};
use embedder::{EmbedderError, ModelConfig};
use shared::{Error, State, can_start};

use crate::{LazyEmbedder, LazyReranker, Search, SearchConfig, SearchResponse};

/// The state of a function that stores documents.
#[derive(Clone)]
pub struct IngestState {
    /// The database of the documents.
    pub database: Arc<Database>,
    /// The embedding model.
    pub embedder: LazyEmbedder,
}

/// The state of a function that searches.
#[derive(Clone)]
pub struct SearchState {
    /// The database of the passages.
    pub database: Arc<Database>,
    /// The embedding model.
    pub embedder: LazyEmbedder,
    /// The reranker, if there is one.
    pub reranker: LazyReranker,
    /// How searches rank.
    pub config: SearchConfig,
}

impl SearchState {
    /// The state for this database and this model, without connecting or loading anything.
    ///
    /// # Errors
    /// When the model's manifest is missing or wrong.
    pub fn new(
        database: Database,
        model: ModelConfig,
        config: SearchConfig,
    ) -> Result<Self, EmbedderError> {
        Ok(Self {
            database: Arc::new(database),
            reranker: LazyReranker::new(model.reranker()),
            embedder: LazyEmbedder::new(model, config.question_cache)?,
            config,
        })
    }

    /// Runs a search of the visible documents with what this state has.
    ///
    /// # Errors
    /// As [`Search::run`].
    pub async fn run(
        &self,
        search: Search,
        visibility: &Visibility,
    ) -> Result<SearchResponse, Error> {
        let Self {
            database,
            embedder,
            reranker,
            config,
        } = self;
        search
            .run(database, visibility, embedder, reranker, config)
            .await
    }
}

impl IngestState {
    /// The state of a function that works for all tenants.
    ///
    /// # Errors
    /// When a setting is missing or wrong.
    pub fn for_all_tenants(function: &str) -> Result<Self, lambda_http::Error> {
        Self::with(&DatabaseConfig {
            settings: ALL_TENANTS,
            ..DatabaseConfig::from_env(function)?
        })
    }

    fn with(database: &DatabaseConfig) -> Result<Self, lambda_http::Error> {
        Ok(Self {
            // It embeds documents only.
            embedder: LazyEmbedder::new(ModelConfig::from_env()?, 0)?,
            database: Arc::new(Database::new(database)?),
        })
    }
}

impl State for IngestState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        Self::with(&DatabaseConfig::from_env(function)?)
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        warm(&self.database, &self.embedder).await
    }

    fn database(&self) -> &Database {
        &self.database
    }
}

impl State for SearchState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        let model = ModelConfig::from_env()?;
        let database = Database::new(&DatabaseConfig::from_env(function)?)?;
        Ok(Self::new(database, model, SearchConfig::from_env()?)?)
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        warm(&self.database, &self.embedder).await
    }

    fn database(&self) -> &Database {
        &self.database
    }
}

/// Makes the first connection and loads the model concurrently.
async fn warm(database: &Database, embedder: &LazyEmbedder) -> Result<(), lambda_http::Error> {
    let check = migrations::require_model(database, embedder.manifest());
    let (connected, loaded) = tokio::join!(check, embedder.load());
    loaded?;
    Ok(can_start(connected)?)
}
