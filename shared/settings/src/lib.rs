//! Settings, read once from the environment.

mod chat;
mod database;
mod imports;
mod index;
mod language_model;
mod model;
mod preset;
mod search;
mod telemetry;
mod variables;

pub use self::{
    chat::{CallerParameter, ChatConfig},
    database::{AddressFamily, DatabaseConfig, PoolerSetting},
    imports::ImportConfig,
    index::{IndexConfig, Memory},
    language_model::LanguageModelConfig,
    model::ModelConfig,
    preset::Preset,
    search::SearchConfig,
    telemetry::TelemetryConfig,
};

/// Everything that a function is told from outside.
#[derive(Clone, Debug)]
pub struct Config {
    /// How to reach the database.
    pub database: DatabaseConfig,
    /// Where the embedding model is; `None` for functions that embed nothing.
    pub model: Option<ModelConfig>,
    /// Where the reranker is; `None` where none is set, and for functions that embed nothing.
    pub reranker: Option<ModelConfig>,
    /// How searches rank.
    pub search: SearchConfig,
    /// The language model; `None` where none is set, and for functions that need none.
    pub language_model: Option<LanguageModelConfig>,
    /// The limits of a chat.
    pub chat: ChatConfig,
    /// Bulk imports; `None` for functions that have nothing to do with them.
    pub imports: Option<ImportConfig>,
}

/// A setting that is missing or wrong; the function stops at start with it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not set.
    #[error("{variable} is not set: {purpose}")]
    Missing {
        /// The variable's name.
        variable: &'static str,
        /// What it is for, with an example.
        purpose: &'static str,
    },
    /// A variable that may hold a secret has a value that cannot be used; it is not shown.
    #[error("{variable} {expected}")]
    Unusable {
        /// The variable's name.
        variable: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
    /// A variable has a value that cannot be used.
    #[error("{variable} is {value:?}: {expected}")]
    Invalid {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

impl Config {
    /// Reads the settings of the function called `function`.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env(function: &str, needs: Needs) -> Result<Self, ConfigError> {
        let model = match needs {
            Needs::DatabaseOnly | Needs::Queue => None,
            Needs::Embedder | Needs::LanguageModel | Needs::EmbedderAndQueue => {
                Some(ModelConfig::from_env()?)
            }
        };
        let (language_model, chat) = match needs {
            Needs::LanguageModel => (LanguageModelConfig::from_env()?, ChatConfig::from_env()?),
            _ => (None, ChatConfig::default()),
        };
        let imports = match needs {
            Needs::Queue | Needs::EmbedderAndQueue => Some(ImportConfig::from_env()?),
            _ => None,
        };
        Ok(Self {
            database: DatabaseConfig::from_env(function)?,
            reranker: model.as_ref().and_then(ModelConfig::reranker),
            model,
            search: SearchConfig::from_env()?,
            language_model,
            chat,
            imports,
        })
    }
}

/// What a function needs besides the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    DatabaseOnly,
    /// The embedding model.
    Embedder,
    /// The embedding model and, if there is one, the language model.
    LanguageModel,
    /// The queue of bulk imports.
    Queue,
    /// The embedding model and the queue of bulk imports.
    EmbedderAndQueue,
}
