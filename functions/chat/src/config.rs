//! Settings of a chat: the limits of the prompt, the choices of callers, and the keep-alive of streams.

use std::{str::FromStr, time::Duration};

use settings::{ConfigError, milliseconds, number, optional};

/// The limits of a chat. Tokens are counted with the embedding model's tokenizer, since the language model's is
/// unknown; the counts differ by 10 to 20 %.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ChatConfig {
    /// The most tokens of earlier messages; the oldest are dropped first.
    pub(crate) history_tokens: usize,
    /// The most tokens of sources; the rest is cut or dropped.
    pub(crate) source_tokens: usize,
    /// The minimum relevance of a source, 0 to 1, unless a request overrides it. If no passage reaches it, the model is
    /// not asked.
    pub(crate) min_relevance: f64,
    /// Whether the model rewrites a follow-up question as a standalone one for the search.
    pub(crate) condense: bool,
    /// The most tokens of the rewriting, thoughts included.
    pub(crate) condense_tokens: u32,
    /// The timeout of the rewriting.
    pub(crate) condense_timeout: Duration,
    /// The model of the rewriting, if it is another one of the same endpoint.
    pub(crate) condense_model: Option<String>,
    /// Instructions for the model beside the rules.
    pub(crate) instructions: Option<String>,
    /// Whether callers may add instructions to the rules.
    pub(crate) caller_instructions: bool,
    /// The fields of the model's request that callers may choose.
    pub(crate) caller_parameters: Vec<CallerParameter>,
    /// The longest silence of a stream; a comment then breaks it.
    pub(crate) heartbeat: Duration,
}

/// A field of the model's request that callers may be allowed to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallerParameter {
    /// `model`.
    Model,
    /// `temperature`.
    Temperature,
    /// `max_tokens`.
    MaxTokens,
}

/// Proxies close connections after half a minute of silence; common clients give up after five seconds.
const HEARTBEAT_MS: u64 = 3_000;
/// Rewriting takes a second or two; a reader waits for a better question, but not for long.
const CONDENSE_MS: u64 = 6_000;

impl Default for ChatConfig {
    /// `min_relevance`: docs/relevance.md shows its effect.
    fn default() -> Self {
        Self {
            history_tokens: 2_000,
            source_tokens: 6_000,
            min_relevance: 0.12,
            condense: true,
            condense_tokens: 1_000,
            condense_timeout: Duration::from_millis(CONDENSE_MS),
            condense_model: None,
            instructions: None,
            caller_instructions: false,
            caller_parameters: Vec::new(),
            heartbeat: Duration::from_millis(HEARTBEAT_MS),
        }
    }
}

impl ChatConfig {
    /// Reads `CHAT_HISTORY_TOKENS` and the settings around it.
    ///
    /// # Errors
    /// Names the first invalid variable.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        let tokens = |variable, default| {
            number(
                variable,
                default,
                "must be a whole number of tokens",
                |_| true,
            )
        };
        let yes = |variable, default| number(variable, default, "must be true or false", |_| true);
        Ok(Self {
            history_tokens: tokens("CHAT_HISTORY_TOKENS", default.history_tokens)?,
            source_tokens: tokens("CHAT_SOURCE_TOKENS", default.source_tokens)?,
            min_relevance: number(
                "CHAT_MIN_RELEVANCE",
                default.min_relevance,
                "must be a number from 0 to 1",
                |n| (0.0..=1.0).contains(n),
            )?,
            condense: yes("CHAT_CONDENSE", default.condense)?,
            condense_tokens: number(
                "CHAT_CONDENSE_TOKENS",
                default.condense_tokens,
                "must be a whole number of tokens above 0",
                |tokens| *tokens > 0,
            )?,
            condense_timeout: milliseconds("CHAT_CONDENSE_TIMEOUT_MS", CONDENSE_MS)?,
            condense_model: optional("CHAT_CONDENSE_MODEL"),
            instructions: optional("CHAT_INSTRUCTIONS"),
            caller_instructions: yes("CHAT_CALLER_INSTRUCTIONS", default.caller_instructions)?,
            caller_parameters: caller_parameters()?,
            heartbeat: milliseconds("CHAT_HEARTBEAT_MS", HEARTBEAT_MS)?,
        })
    }

    /// Whether callers may choose this.
    #[must_use]
    pub(crate) fn allows(&self, parameter: CallerParameter) -> bool {
        self.caller_parameters.contains(&parameter)
    }
}

fn caller_parameters() -> Result<Vec<CallerParameter>, ConfigError> {
    let names = optional("CHAT_CALLER_PARAMETERS").unwrap_or_default();
    let names = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names.map(str::parse).collect()
}

impl FromStr for CallerParameter {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "model" => Ok(Self::Model),
            "temperature" => Ok(Self::Temperature),
            "max_tokens" => Ok(Self::MaxTokens),
            _ => Err(ConfigError::Invalid {
                variable: "CHAT_CALLER_PARAMETERS",
                value: name.to_owned(),
                expected: "must be a comma-separated list of model, temperature and max_tokens",
            }),
        }
    }
}
