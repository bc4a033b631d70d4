//! A language model behind an OpenAI-compatible endpoint: messages in, a stream of text out.
//!
//! Nothing runs on a task of its own and nothing is queued: text is read from the endpoint when the
//! stream is asked for it, and dropping the stream closes the connection, which ends the generation.

mod chunk;
mod message;
mod request;

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use eventsource_stream::Eventsource as _;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use self::{chunk::Chunk, request::Endpoint};
pub use self::{
    chunk::{Delta, Usage},
    message::{Message, Role},
};
use crate::{cause::chain, config::LanguageModelConfig, secret::SecretError};

/// The language model of a function.
#[derive(Debug)]
pub struct LanguageModel {
    endpoint: Arc<Endpoint>,
    timeout: Duration,
}

/// How long the count of tokens may follow after the end of the text.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Why there is no answer, or no more of it. No text of a conversation is in it.
#[derive(Debug, thiserror::Error)]
pub enum LanguageModelError {
    /// These variables are not set.
    #[error("there is no language model: {} not set", .0.join(" and "))]
    NotConfigured(Vec<&'static str>),
    /// The endpoint has too much to do, and still had after some attempts.
    #[error("the language model's endpoint is busy: status {status}{}", told(code.as_deref()))]
    Busy {
        /// Its last status.
        status: u16,
        /// The code in its body, if there is one.
        code: Option<String>,
    },
    /// Nothing came for so long.
    #[error("the language model was silent for {0:?}")]
    Silent(Duration),
    /// The function's time was over before the answer was.
    #[error("the language model had not finished when the function's time was over")]
    Unfinished,
    /// The endpoint refused the request.
    #[error("the language model's endpoint answered {status}{}", told(code.as_deref()))]
    Refused {
        /// Its status.
        status: u16,
        /// The code in its body, if there is one.
        code: Option<String>,
    },
    /// The endpoint cannot be reached, or the connection broke.
    #[error("the connection to the language model failed: {0}")]
    Connection(String),
    /// What came is no answer of such an endpoint.
    #[error("the language model's answer cannot be read: {0}")]
    Unreadable(String),
    /// The key cannot be had.
    #[error("LLM_API_KEY: {0}")]
    Key(#[from] SecretError),
}

impl LanguageModel {
    /// Prepares the client, without I/O.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the key is a reference that cannot be followed here.
    pub fn new(config: &LanguageModelConfig) -> Result<Self, LanguageModelError> {
        Ok(Self {
            endpoint: Arc::new(Endpoint::new(config)?),
            timeout: config.timeout,
        })
    }

    /// Streams the answer to a conversation. An endpoint that is busy or fails is asked again, with a
    /// growing pause, until it has begun to answer; after that nothing is asked twice.
    ///
    /// # Errors
    /// The stream ends with the first error. Without one, its last delta has a `finish_reason`.
    pub fn stream(
        &self,
        messages: &[Message],
    ) -> impl Stream<Item = Result<Delta, LanguageModelError>> + Send + use<> {
        let endpoint = Arc::clone(&self.endpoint);
        let limit = self.timeout;
        let body = endpoint.body(messages);
        try_stream! {
            let silent = |_| LanguageModelError::Silent(limit);
            let mut until = Instant::now() + limit;
            let response = timeout_at(until, endpoint.open(&body, until)).await.map_err(silent)??;
            let mut events = response.bytes_stream().eventsource();
            let mut finished = false;
            loop {
                let event = match timeout_at(until, events.next()).await {
                    Ok(Some(Ok(event))) if event.data != "[DONE]" => event,
                    // After its reason to finish nothing is missing but the count of tokens.
                    _ if finished => break,
                    Ok(Some(Err(error))) => Err(LanguageModelError::Connection(chain(&error)))?,
                    // A connection that is closed in the middle of an answer may look like its end.
                    Ok(_) => Err(LanguageModelError::Connection("it ended within the answer".to_owned()))?,
                    Err(_) => Err(LanguageModelError::Silent(limit))?,
                };
                let delta = Chunk::parse(&event.data)?.into_delta();
                finished |= delta.finish_reason.is_some();
                until = Instant::now() + if finished { LAST_WORDS.min(limit) } else { limit };
                yield delta;
            }
        }
    }

    /// The whole answer to a conversation.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub async fn complete(
        &self,
        messages: &[Message],
    ) -> Result<(String, Option<Usage>), LanguageModelError> {
        let mut stream = std::pin::pin!(self.stream(messages));
        let (mut text, mut usage) = (String::new(), None);
        while let Some(delta) = stream.next().await {
            let delta = delta?;
            text.push_str(&delta.text);
            usage = delta.usage.or(usage);
        }
        Ok((text, usage))
    }
}

fn told(code: Option<&str>) -> String {
    code.map_or_else(String::new, |code| format!(", {code}"))
}
