//! A language model behind an OpenAI-compatible endpoint: messages in, a stream of text out.
//!
//! There are no background tasks, and the queue holds one piece of the endpoint's body: it is read when the caller
//! polls the stream, and dropping the stream closes the connection, which ends the generation.

mod answer;
mod attempts;
mod chunk;
mod config;
mod dialect;
mod error;
mod events;
mod finish;
mod message;
mod place;
mod preset;
mod refusal;
mod request;
mod thoughts;

use std::{sync::Arc, time::Duration};

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _};
use telemetry::chain;
use tokio::time::{Instant, timeout_at};

use self::{
    answer::AnswerState,
    attempts::Attempts,
    events::{Events, is_end},
    request::Endpoint,
    thoughts::Thoughts,
};
pub use self::{
    chunk::{Delta, Usage},
    config::LanguageModelConfig,
    error::{Class, Empty, LanguageModelError, Obstacle, Refusal, Unreachable},
    message::{Message, Role, alternating},
    preset::Preset,
    request::Ask,
};

/// The language model of a function.
#[derive(Debug)]
pub struct LanguageModel {
    endpoint: Arc<Endpoint>,
    timeout: Duration,
    context_tokens: usize,
    answer_tokens: Option<usize>,
}

/// How long to wait for the token count after the end of the text.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Maximum characters of a text requested as a whole.
const WHOLE: usize = 64 * 1024;

impl LanguageModel {
    /// Prepares the client, without I/O.
    ///
    /// # Errors
    /// When TLS cannot be set up, or the key is a reference that cannot be resolved here.
    pub fn new(config: &LanguageModelConfig) -> Result<Self, LanguageModelError> {
        Ok(Self {
            endpoint: Arc::new(Endpoint::new(config)?),
            timeout: config.timeout,
            context_tokens: config.context_tokens,
            answer_tokens: config.answer_tokens(),
        })
    }

    /// Maximum number of tokens of prompt and answer together.
    #[must_use]
    pub fn context_tokens(&self) -> usize {
        self.context_tokens
    }

    /// The token limit of an answer, if configured.
    #[must_use]
    pub fn answer_tokens(&self) -> Option<usize> {
        self.answer_tokens
    }

    /// Streams the answer to a conversation. A busy or failing endpoint is retried with growing pauses until it starts
    /// to answer; after that there are no retries.
    ///
    /// # Errors
    /// The stream ends at the first error. Without one it had some text, and its last delta has a `finish_reason`,
    /// unless the endpoint only signalled the end.
    pub fn stream(
        &self,
        ask: Ask,
    ) -> impl Stream<Item = Result<Delta, LanguageModelError>> + Send + use<> {
        let endpoint = Arc::clone(&self.endpoint);
        let limit = self.timeout;
        try_stream! {
            let silent = |_| LanguageModelError::Silent(limit);
            let mut until = Instant::now() + limit;
            let mut attempts = Attempts::default();
            let opening = endpoint.open(&ask, &mut attempts, until);
            let mut response = timeout_at(until, opening).await.map_err(silent)??;
            let (mut events, mut closed) = (Events::default(), false);
            let mut answer = AnswerState::new(ask.whole || endpoint.thinks_first());
            loop {
                while let Some(data) = events.next() {
                    if is_end(&data) {
                        answer.ended = true;
                        break;
                    }
                    let ending = answer.ending();
                    let delta = match answer.take(&data) {
                        // Some gateways report with status 200 that they are busy.
                        Err(error) if answer.events == 0 => {
                            let opening = endpoint.open_again(error, &ask, &mut attempts, until);
                            response = timeout_at(until, opening).await.map_err(silent)??;
                            (events, closed) = (Events::default(), false);
                            continue;
                        }
                        delta => delta?,
                    };
                    if answer.began_with_thoughts() {
                        endpoint.remember_leading_thoughts();
                    }
                    until = match (ending, answer.ending()) {
                        (false, true) => Instant::now() + LAST_WORDS.min(limit),
                        (true, false) => Instant::now() + limit,
                        // Pieces that each have a finish reason.
                        (false, false) if delta.text.len() + delta.reasoning.len() > 0 => {
                            Instant::now() + limit
                        }
                        _ => until,
                    };
                    yield delta;
                }
                if answer.ended {
                    break;
                }
                if closed {
                    answer.closed()?;
                    break;
                }
                match timeout_at(until, response.chunk()).await {
                    // Any data, even a comment, is a sign of life, until there is a finish reason.
                    Ok(Ok(Some(bytes))) => {
                        if !answer.finished() {
                            until = Instant::now() + limit;
                        }
                        let pushed = events.push(&bytes);
                        if pushed.is_err() && answer.finished() {
                            break;
                        }
                        pushed?;
                    }
                    Ok(Ok(None)) => {
                        let end = events.end();
                        if end.is_err() && answer.finished() {
                            break;
                        }
                        end?;
                        closed = true;
                    }
                    // After the finish reason nothing that is missing fails the answer.
                    _ if answer.finished() => break,
                    Ok(Err(error)) => Err(LanguageModelError::Cut(chain(&error.without_url())))?,
                    Err(_) => Err(LanguageModelError::Silent(limit))?,
                }
            }
            let rest = answer.rest()?;
            if rest != Delta::default() {
                yield rest;
            }
        }
    }

    /// The whole answer to a conversation, for short answers; a longer one is cut.
    ///
    /// # Errors
    /// As [`Self::stream`].
    pub async fn complete(&self, ask: Ask) -> Result<(String, Option<Usage>), LanguageModelError> {
        let ask = Ask { whole: true, ..ask };
        let mut stream = std::pin::pin!(self.stream(ask));
        let (mut text, mut usage) = (String::new(), None);
        while let Some(delta) = stream.next().await {
            let delta = delta?;
            text.push_str(&delta.text);
            usage = delta.usage.or(usage);
            if text.len() > WHOLE {
                break;
            }
        }
        Ok((text, usage))
    }

    /// Asks the endpoint for one word, to check that it answers.
    ///
    /// # Errors
    /// Any error that would also fail a chat.
    pub async fn probe(&self) -> Result<(), LanguageModelError> {
        let ask = Ask {
            messages: vec![Message::new(Role::User, "Answer with one word: yes.")],
            ..Ask::default()
        };
        let mut stream = std::pin::pin!(self.stream(ask));
        // The first piece is enough; the rest would cost money.
        stream.next().await.transpose().map(drop)
    }
}

/// The text without the model's thoughts, in any notation.
#[must_use]
pub fn without_thoughts(text: &str) -> String {
    Thoughts::apart(text).0
}

/// The same of a short answer that has no reason to name the tags of thoughts: all before the last one is thoughts.
#[must_use]
pub fn without_any_thoughts(text: &str) -> String {
    let text = without_thoughts(text);
    thoughts::after_last_end(&text).to_owned()
}
