//! Makes the parts of an answer to a conversation.

use std::time::{Duration, Instant};

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _};
use language_model::{Ask, Class, LanguageModelError};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use shared::Error;
use tokio::time::{timeout, timeout_at};

use crate::{
    citations::Citations,
    done::{Clock, Done, count, sum},
    fixed::without_sources,
    request::{Chat, Choice},
    retrieved::Retrieved,
    sources::ChatSource,
    state::ChatState,
    stops::Stops,
};

/// An answer before its text.
pub(crate) struct Answer {
    pub(crate) state: ChatState,
    stage: Stage,
    clock: Clock,
    /// Whether to include the model's thoughts.
    reasoning: bool,
    choice: Choice,
    /// The most bytes of the text, if the whole text is kept.
    longest: Option<usize>,
}

/// The stage of an answer.
enum Stage {
    /// The question must be rewritten before the search, which takes time.
    Asked(Box<Chat>),
    /// The sources are found.
    Found(Box<Retrieved>),
}

/// A part of an answer, in their order.
#[derive(Debug)]
pub(crate) enum AnswerEvent {
    /// The search still runs.
    Retrieval,
    /// The searched question, and the sources.
    Sources(String, Box<RawValue>),
    /// A piece of the model's thoughts.
    Reasoning(String),
    /// A piece of text.
    Delta(String),
    /// The last part.
    Done(Done),
}

/// An answer in one piece.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ChatAnswer")]
pub(crate) struct Whole {
    /// The text, with citations such as `[1]`.
    pub(crate) answer: String,
    /// The model's thoughts, on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning: Option<String>,
    /// The question that was searched for.
    pub(crate) query: String,
    /// The passages, numbered as the answer cites them.
    #[schemars(with = "Vec<ChatSource>")]
    pub(crate) sources: Box<RawValue>,
    #[serde(flatten)]
    pub(crate) done: Done,
}

/// How long a reader waits for the sources before an event explains the wait: the limit of an uninterrupted
/// flow of thought. <https://www.nngroup.com/articles/response-times-3-important-limits/>
const NOTICE: Duration = Duration::from_secs(1);
/// The time reserved to report that an answer was given up.
const MARGIN: Duration = Duration::from_secs(1);
/// The most bytes of an answer in one piece: Lambda's limit is 6 MB, and no model means to write as much.
const LONGEST: usize = 1 << 20;

impl Answer {
    /// Finds the sources of an answer, unless its reader would have to wait.
    ///
    /// # Errors
    /// When the search fails.
    pub(crate) async fn prepare(
        state: ChatState,
        chat: Chat,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let mut clock = Clock {
            start: Instant::now(),
            deadline: deadline.checked_sub(MARGIN).unwrap_or(deadline),
            retrieval: 0.0,
            first_token: None,
        };
        let (reasoning, choice) = (chat.reasoning, chat.choice.clone());
        let longest = (!chat.stream).then_some(LONGEST);
        let reached = if chat.stream && chat.needs_rewriting(&state.config) {
            Stage::Asked(Box::new(chat))
        } else {
            let found = Retrieved::by(&state, chat).await?;
            clock.found();
            Stage::Found(Box::new(found))
        };
        Ok(Self {
            state,
            stage: reached,
            clock,
            reasoning,
            choice,
            longest,
        })
    }

    /// Whether the reader must wait for the first part.
    pub(crate) fn waits(&self) -> bool {
        matches!(self.stage, Stage::Asked(_))
    }

    /// The parts of the answer, made on demand.
    pub(crate) fn parts(self) -> impl Stream<Item = Result<AnswerEvent, Error>> + Send {
        try_stream! {
            let Self { state, stage: reached, mut clock, reasoning, choice, longest } = self;
            let mut found = match reached {
                Stage::Found(found) => *found,
                Stage::Asked(chat) => {
                    let retrieved = database::within(clock.deadline, Retrieved::by(&state, *chat));
                    let mut retrieved = Box::pin(retrieved);
                    let patience = state.config.heartbeat.min(NOTICE);
                    let found = match timeout(patience, &mut retrieved).await {
                        Ok(found) => found?,
                        Err(_) => {
                            yield AnswerEvent::Retrieval;
                            retrieved.await?
                        }
                    };
                    clock.found();
                    found
                }
            };
            let mut citations = Citations::new(found.count());
            let (query, sources) = found.for_reader()?;
            yield AnswerEvent::Sources(query, sources);
            if !found.asks_model() {
                let text = without_sources(found.question(), found.earlier()).to_owned();
                yield AnswerEvent::Delta(text);
                count(found.usage);
                yield AnswerEvent::Done(Done::new("no_sources".to_owned(), found.usage, &citations, clock));
                return;
            }
            let (mut finish_reason, mut spent, mut length, mut tried) = (None, None, 0, false);
            let mut stops = Stops::new(choice.stop);
            'attempts: loop {
                let ask = Ask {
                    messages: found.messages(),
                    model: choice.model.clone(),
                    max_tokens: choice.max_tokens,
                    temperature: choice.temperature,
                    whole: longest.is_some(),
                };
                let mut deltas = Box::pin(state.language_model()?.stream(ask));
                let unfinished = |_| LanguageModelError::Unfinished;
                while let Some(delta) = timeout_at(clock.deadline.into(), deltas.next()).await.map_err(unfinished)? {
                    let delta = match delta {
                        Err(error) if error.class() == Some(Class::Context) && !tried && length == 0 => {
                            tracing::warn!(cause = %error, "retrying the language model with fewer sources");
                            tried = true;
                            found.shorten();
                            continue 'attempts;
                        }
                        delta => delta?,
                    };
                    if reasoning && !delta.reasoning.is_empty() {
                        yield AnswerEvent::Reasoning(delta.reasoning);
                    }
                    length += delta.text.len();
                    let text = stops.pass(&delta.text);
                    if !text.is_empty() {
                        clock.spoken();
                        citations.pass(&text);
                        yield AnswerEvent::Delta(text);
                    }
                    finish_reason = delta.finish_reason.or(finish_reason);
                    // Some endpoints count in every piece; the last count is the total.
                    spent = delta.usage.or(spent);
                    if stops.reached() {
                        finish_reason = Some("stop".to_owned());
                        break;
                    }
                    if longest.is_some_and(|longest| length > longest) {
                        finish_reason = Some("length".to_owned());
                        break;
                    }
                }
                break;
            }
            let rest = stops.rest();
            if !rest.is_empty() {
                citations.pass(&rest);
                yield AnswerEvent::Delta(rest);
            }
            let reason = finish_reason.unwrap_or_else(|| "stop".to_owned());
            let usage = sum(found.usage, spent);
            count(usage);
            yield AnswerEvent::Done(Done::new(reason, usage, &citations, clock));
        }
    }

    /// The answer in one piece.
    ///
    /// # Errors
    /// When the model fails before the end.
    pub(crate) async fn whole(self) -> Result<Whole, Error> {
        let mut reasoning = self.reasoning.then(String::new);
        let mut parts = std::pin::pin!(self.parts());
        let (mut answer, mut query) = (String::new(), String::new());
        let mut sources = RawValue::NULL.to_owned();
        while let Some(part) = parts.next().await {
            match part? {
                AnswerEvent::Retrieval => {}
                AnswerEvent::Sources(searched, found) => (query, sources) = (searched, found),
                AnswerEvent::Reasoning(thought) => {
                    let not_full = |kept: &&mut String| kept.len() < LONGEST;
                    if let Some(kept) = reasoning.as_mut().filter(not_full) {
                        kept.push_str(&thought);
                    }
                }
                AnswerEvent::Delta(text) => answer.push_str(&text),
                AnswerEvent::Done(done) => {
                    return Ok(Whole {
                        answer,
                        reasoning,
                        query,
                        sources,
                        done,
                    });
                }
            }
        }
        Err(Error::Internal(
            "the answer ended without a final event".to_owned(),
        ))
    }
}
