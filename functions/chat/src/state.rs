//! The state between requests.

use std::sync::Arc;

use database::Database;
use language_model::{LanguageModel, LanguageModelConfig, LanguageModelError};
use retrieval::SearchState;
use shared::{Error, State};

use crate::config::ChatConfig;

/// The state of a search, and the language model.
#[derive(Clone)]
pub(crate) struct ChatState {
    pub(crate) search: SearchState,
    pub(crate) config: Arc<ChatConfig>,
    language_model: Option<Arc<LanguageModel>>,
}

impl ChatState {
    /// The language model.
    ///
    /// # Errors
    /// [`LanguageModelError::NotConfigured`], which names the missing setting.
    pub(crate) fn language_model(&self) -> Result<&LanguageModel, Error> {
        self.language_model
            .as_deref()
            .ok_or_else(|| LanguageModelError::NotConfigured(LanguageModelConfig::unset()).into())
    }
}

impl State for ChatState {
    fn from_env(function: &str) -> Result<Self, lambda_http::Error> {
        let language_model = LanguageModelConfig::from_env()?;
        let language_model = language_model
            .as_ref()
            .map(LanguageModel::new)
            .transpose()?;
        Ok(Self {
            search: SearchState::from_env(function)?,
            config: Arc::new(ChatConfig::from_env()?),
            language_model: language_model.map(Arc::new),
        })
    }

    async fn warm(&self) -> Result<(), lambda_http::Error> {
        self.search.warm().await
    }

    fn database(&self) -> &Database {
        &self.search.database
    }
}
