//! A language model behind an OpenAI-compatible endpoint: messages in, a stream of text out.
//!
//! There are no background tasks, and the queue holds one piece of the endpoint's body: it is read when the caller
//! polls the stream, and dropping the stream closes the connection, which ends the generation.

mod chunk;
mod config;
mod dialect;
mod error;
mod events;
mod message;
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
    chunk::Chunk,
    events::{Events, is_end},
    request::{Attempts, Endpoint},
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
                    let finished = answer.finished();
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
                    if answer.thoughts.unopened() {
                        endpoint.remember_leading_thoughts();
                    }
                    if answer.finished() && !finished {
                        until = Instant::now() + LAST_WORDS.min(limit);
                    }
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
                    // Any data, even a comment, is a sign of life.
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
                    // After the finish reason only the token count is missing.
                    _ if answer.finished() => break,
                    Ok(Ok(None)) => {
                        events.end()?;
                        closed = true;
                    }
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
    let (answer, _) = Thoughts::apart(text);
    // With templates that open the thoughts, the model writes only their end.
    match answer.rsplit_once("</think>") {
        Some((_, answer)) => answer.trim_start().to_owned(),
        None => answer,
    }
}

/// The state of an answer.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact from the events"
)]
struct AnswerState {
    thoughts: Thoughts,
    /// Events so far.
    events: usize,
    /// Whether any text arrived.
    said: bool,
    refusal: bool,
    tool_call: bool,
    finish_reason: Option<String>,
    /// Whether the endpoint signalled the end.
    ended: bool,
}

impl AnswerState {
    /// Of an answer that may begin with thoughts without a tag.
    fn new(leading: bool) -> Self {
        Self {
            thoughts: Thoughts::leading(leading),
            ..Self::default()
        }
    }

    /// Reads an event. After the finish reason no event can fail an answer.
    fn take(&mut self, data: &str) -> Result<Delta, LanguageModelError> {
        let chunk = match Chunk::parse(data) {
            Err(_) if self.finished() => Chunk::default(),
            chunk => chunk?,
        };
        self.events += 1;
        self.refusal |= chunk.refusal;
        self.tool_call |= chunk.tool_call;
        let mut delta = chunk.delta;
        let (text, thought) = self.thoughts.pass(&delta.text);
        delta.text = text;
        delta.reasoning.push_str(&thought);
        self.said |= !delta.text.trim().is_empty();
        if chunk.whole {
            delta.finish_reason = delta.finish_reason.or_else(|| Some("stop".to_owned()));
        }
        if self.refusal && delta.finish_reason.is_some() {
            delta.finish_reason = Some("refusal".to_owned());
        }
        self.finish_reason = delta.finish_reason.clone().or(self.finish_reason.take());
        Ok(delta)
    }

    fn finished(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The connection was closed, which may look like an end in the middle of an answer.
    fn closed(&self) -> Result<(), LanguageModelError> {
        if self.finished() || self.ended {
            Ok(())
        } else if self.events == 0 {
            let detail = "it ended without any event".to_owned();
            Err(LanguageModelError::Unreadable(detail))
        } else {
            let detail = "it ended without a finish_reason".to_owned();
            Err(LanguageModelError::Cut(detail))
        }
    }

    /// The held-back text at the end of the answer, which must not be empty.
    fn rest(&mut self) -> Result<Delta, LanguageModelError> {
        let text = self.thoughts.rest();
        if self.said || !text.trim().is_empty() {
            return Ok(Delta {
                text,
                ..Delta::default()
            });
        }
        Err(LanguageModelError::Empty(
            match self.finish_reason.as_deref() {
                _ if self.tool_call => Empty::ToolCall,
                Some("tool_calls" | "function_call") => Empty::ToolCall,
                Some("content_filter" | "refusal" | "safety" | "SAFETY") => Empty::Filtered,
                Some("length" | "max_tokens" | "MAX_TOKENS") => Empty::Exhausted,
                _ => Empty::Silent,
            },
        ))
    }
}
