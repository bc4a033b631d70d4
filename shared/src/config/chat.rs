//! What a chat gives its language model to read, and how it keeps its reader waiting.

use std::time::Duration;

use super::{
    ConfigError,
    variables::{milliseconds, number},
};

/// The limits of a chat. Tokens are those of the embedding model's tokenizer, since another model's is
/// not known here; they differ by a tenth or two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChatConfig {
    /// The most tokens of earlier messages; the oldest are left out first.
    pub history_tokens: usize,
    /// The most tokens of sources; the farthest are left out first, but never the nearest one.
    pub source_tokens: usize,
    /// The least relevance of a source, 0 to 1, unless a request says otherwise. Where no passage reaches it, the model
    /// is not asked.
    pub min_relevance: f64,
    /// Whether the model rewrites a question that follows others, so that it can be searched for alone.
    pub condense: bool,
    /// The longest silence towards the reader; a comment is sent to break it.
    pub heartbeat: Duration,
}

/// Proxies close connections that are idle for a minute, some for half of one.
const HEARTBEAT_MS: u64 = 10_000;

impl Default for ChatConfig {
    /// `min_relevance`: docs/relevance.md has what it keeps and what it stops.
    fn default() -> Self {
        Self {
            history_tokens: 2_000,
            source_tokens: 6_000,
            min_relevance: 0.2,
            condense: true,
            heartbeat: Duration::from_millis(HEARTBEAT_MS),
        }
    }
}

impl ChatConfig {
    /// Reads `CHAT_HISTORY_TOKENS` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        let tokens = |variable, default| {
            number(
                variable,
                default,
                "must be a whole number of tokens",
                |_| true,
            )
        };
        Ok(Self {
            history_tokens: tokens("CHAT_HISTORY_TOKENS", default.history_tokens)?,
            source_tokens: tokens("CHAT_SOURCE_TOKENS", default.source_tokens)?,
            min_relevance: number(
                "CHAT_MIN_RELEVANCE",
                default.min_relevance,
                "must be a number from 0 to 1",
                |n| (0.0..=1.0).contains(n),
            )?,
            condense: number(
                "CHAT_CONDENSE",
                default.condense,
                "must be true or false",
                |_| true,
            )?,
            heartbeat: milliseconds("CHAT_HEARTBEAT_MS", HEARTBEAT_MS)?,
        })
    }
}
