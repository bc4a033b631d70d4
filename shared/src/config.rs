//! Settings, read once from the environment.

mod chat;
mod imports;
mod language_model;
mod search;
mod telemetry;

use std::{env, fmt, path::PathBuf, str::FromStr, thread, time::Duration};

pub use self::{
    chat::ChatConfig, imports::ImportConfig, language_model::LanguageModelConfig,
    search::SearchConfig, telemetry::TelemetryConfig,
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

/// How to reach the database.
#[derive(Clone)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database?sslmode=...`, or a reference to it: see
    /// [`crate::secret::Secret`].
    pub url: String,
    /// What takes the place of the URL's user and password: a JSON object with `username` and `password`,
    /// or a reference to it.
    pub credentials: Option<String>,
    /// What stands between the function and the server.
    pub pooler: PoolerSetting,
    /// The addresses of the host that may be dialled.
    pub address_family: AddressFamily,
    /// What the server shows in `pg_stat_activity.application_name`.
    pub application_name: String,
    /// Connections of the pool: the number of requests that the sandbox serves at a time.
    pub connections: u32,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// How long the server works on a statement.
    pub statement_timeout: Duration,
}

/// The URL and the credentials hold a password, so they are never printed.
impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig")
            .field("pooler", &self.pooler)
            .field("application_name", &self.application_name)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

/// Where a model and the library that runs it are.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Folder with `model.onnx`, `tokenizer.json` and `manifest.json`.
    pub folder: PathBuf,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    /// Threads of one inference; every core that the sandbox has if `EMBEDDING_THREADS` is not set.
    pub threads: usize,
}

/// The pooler between the function and the server, as the user sets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolerSetting {
    /// Decided by the URL: see [`crate::database::Pooler::of`].
    #[default]
    Auto,
    /// No pooler.
    Direct,
    /// A pooler that keeps one server connection for a client connection.
    Session,
    /// A pooler that may change the server connection after every transaction.
    Transaction,
}

/// The addresses of a host that may be dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// All of them.
    #[default]
    Auto,
    /// Those of IPv4 alone.
    Ipv4,
    /// Those of IPv6 alone.
    Ipv6,
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

impl DatabaseConfig {
    /// Reads `DATABASE_URL` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env(function: &str) -> Result<Self, ConfigError> {
        let url = required(
            "DATABASE_URL",
            "the Postgres to search, for example postgres://user:password@host:5432/database, or the ARN of a \
             secret or a parameter that holds its URL",
        )?;
        Ok(Self {
            url,
            credentials: optional("DATABASE_CREDENTIALS"),
            pooler: chosen("DATABASE_POOLER")?,
            address_family: chosen("DATABASE_ADDRESS_FAMILY")?,
            application_name: format!("rappel-{function}"),
            // Set by Lambda where one sandbox serves several requests at a time.
            connections: number(
                "AWS_LAMBDA_MAX_CONCURRENCY",
                1,
                "must be a whole number above 0",
                |n| *n > 0,
            )?,
            acquire_timeout: milliseconds("DATABASE_ACQUIRE_TIMEOUT_MS", 2_000)?,
            statement_timeout: milliseconds("DATABASE_STATEMENT_TIMEOUT_MS", 10_000)?,
        })
    }
}

impl ModelConfig {
    /// The variable that names the reranker's folder.
    pub const RERANKER_FOLDER: &str = "RERANKER_DIR";

    /// Reads `MODEL_DIR` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            folder: required(
                "MODEL_DIR",
                "the folder of the embedding model, with its manifest.json",
            )?
            .into(),
            library: required(
                "ORT_DYLIB_PATH",
                "the path of ONNX Runtime's shared library",
            )?
            .into(),
            threads: number(
                "EMBEDDING_THREADS",
                thread::available_parallelism().map_or(1, usize::from),
                "must be a whole number from 1 to 64",
                |n| (1..=64).contains(n),
            )?,
        })
    }

    /// The reranker in the folder `RERANKER_DIR`, if that is set; it runs as this model does.
    #[must_use]
    pub fn reranker(&self) -> Option<Self> {
        let folder = optional(Self::RERANKER_FOLDER)?.into();
        Some(Self {
            folder,
            ..self.clone()
        })
    }
}

impl FromStr for PoolerSetting {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        match value {
            "auto" => Ok(Self::Auto),
            "direct" => Ok(Self::Direct),
            "session" => Ok(Self::Session),
            "transaction" => Ok(Self::Transaction),
            _ => Err(ConfigError::Invalid {
                variable: "DATABASE_POOLER",
                value: value.to_owned(),
                expected: "must be auto, direct, session or transaction",
            }),
        }
    }
}

impl fmt::Display for PoolerSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Session => "session",
            Self::Transaction => "transaction",
        })
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        })
    }
}

impl FromStr for AddressFamily {
    type Err = ConfigError;

    fn from_str(value: &str) -> Result<Self, ConfigError> {
        match value {
            "auto" => Ok(Self::Auto),
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(ConfigError::Invalid {
                variable: "DATABASE_ADDRESS_FAMILY",
                value: value.to_owned(),
                expected: "must be auto, ipv4 or ipv6",
            }),
        }
    }
}

/// An empty variable counts as missing: templates set variables that they have no value for to "".
fn optional(variable: &'static str) -> Option<String> {
    env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

fn chosen<C: FromStr<Err = ConfigError> + Default>(
    variable: &'static str,
) -> Result<C, ConfigError> {
    optional(variable).map_or_else(|| Ok(C::default()), |value| value.parse())
}

fn required(variable: &'static str, purpose: &'static str) -> Result<String, ConfigError> {
    optional(variable).ok_or(ConfigError::Missing { variable, purpose })
}

fn number<N: FromStr>(
    variable: &'static str,
    default: N,
    expected: &'static str,
    fits: impl Fn(&N) -> bool,
) -> Result<N, ConfigError> {
    let Some(value) = optional(variable) else {
        return Ok(default);
    };
    value.parse().ok().filter(fits).ok_or(ConfigError::Invalid {
        variable,
        value,
        expected,
    })
}

fn milliseconds(variable: &'static str, default: u64) -> Result<Duration, ConfigError> {
    number(
        variable,
        default,
        "must be a whole number of milliseconds above 0",
        |n| *n > 0,
    )
    .map(Duration::from_millis)
}
