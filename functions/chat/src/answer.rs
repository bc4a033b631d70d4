//! From a conversation to the parts of its answer.

use std::time::{Duration, Instant};

use async_stream::try_stream;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use shared::{
    Error, State,
    language_model::{LanguageModelError, Message, Usage},
    took::ms,
};
use tokio::time::timeout_at;

use crate::{
    budget,
    citations::Citations,
    condense::condensed,
    fixed::nothing_found,
    prompt,
    request::Chat,
    sources::{self, Source},
};

/// An answer whose sources are found and whose text is not begun.
pub(crate) struct Answer {
    pub(crate) state: State,
    sources: Vec<Source>,
    /// What the model is asked; `None` if it is not asked.
    messages: Option<Vec<Message>>,
    question: String,
    /// What was spent before the answer.
    usage: Option<Usage>,
    clock: Clock,
}

/// When things happened.
#[derive(Clone, Copy)]
struct Clock {
    start: Instant,
    /// When the answer is given up.
    deadline: Instant,
    /// Milliseconds until the sources were found.
    retrieval: f64,
}

/// A part of an answer, in the order in which they come.
#[derive(Debug)]
pub(crate) enum Part {
    /// What may be cited; the first part.
    Sources(Vec<Source>),
    /// Some text.
    Delta(String),
    /// The last part.
    Done(Done),
}

/// How an answer ended.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    /// `stop`, `length`, `content_filter`, as the model says, or `no_sources`: it was not asked.
    finish_reason: String,
    /// Tokens of all that the model read and wrote; `null` if it does not count them.
    usage: Option<Usage>,
    /// Citations that pointed at no source and were taken out.
    citations_removed: usize,
    took_ms: Took,
}

/// Milliseconds from the request.
#[derive(Debug, Serialize)]
struct Took {
    /// Until the sources were found.
    retrieval: f64,
    /// Until the first text; `null` if there was none.
    first_token: Option<f64>,
    /// Until the end.
    total: f64,
}

/// An answer in one piece.
#[derive(Debug, Serialize)]
pub(crate) struct Whole {
    answer: String,
    sources: Vec<Source>,
    #[serde(flatten)]
    done: Done,
}

/// What is left of the function's time when an answer is given up, to say so.
const MARGIN: Duration = Duration::from_secs(1);

impl Answer {
    /// Finds the sources of an answer.
    ///
    /// # Errors
    /// When the search fails.
    pub(crate) async fn prepare(
        state: State,
        mut chat: Chat,
        deadline: Instant,
    ) -> Result<Self, Error> {
        let start = Instant::now();
        let config = *state.chat_config();
        budget::trim(&state, &mut chat, config.history_tokens).await?;
        let usage = condensed(&state, &mut chat).await?;
        let hits = chat.search.run(&state).await?.hits;
        let asked = !hits.is_empty() || !chat.require_sources;
        let sources = sources::within(&state, hits, config.source_tokens).await?;
        Ok(Self {
            state,
            messages: asked.then(|| prompt::answer(chat.history, &chat.question, &sources)),
            sources,
            question: chat.question,
            usage,
            clock: Clock {
                start,
                deadline: deadline.checked_sub(MARGIN).unwrap_or(deadline),
                retrieval: ms(start.elapsed()),
            },
        })
    }

    /// The parts of the answer, made as they are taken.
    pub(crate) fn parts(self) -> impl Stream<Item = Result<Part, Error>> + Send {
        try_stream! {
            let Self { state, sources, messages, question, usage, clock } = self;
            let mut citations = Citations::new(sources.len());
            yield Part::Sources(sources);
            let Some(messages) = messages else {
                yield Part::Delta(nothing_found(&question).to_owned());
                yield Part::Done(Done::new("no_sources".to_owned(), usage, 0, clock, None));
                return;
            };
            let deltas = state.language_model()?.stream(&messages);
            let mut deltas = std::pin::pin!(deltas);
            let (mut finish_reason, mut first_token, mut spent) = (None, None, None);
            let unfinished = |_| LanguageModelError::Unfinished;
            while let Some(delta) = timeout_at(clock.deadline.into(), deltas.next()).await.map_err(unfinished)? {
                let delta = delta?;
                let text = citations.pass(&delta.text);
                if !text.is_empty() {
                    first_token.get_or_insert_with(|| ms(clock.start.elapsed()));
                    yield Part::Delta(text);
                }
                finish_reason = delta.finish_reason.or(finish_reason);
                // Some endpoints count in every piece; the last count is of the whole.
                spent = delta.usage.or(spent);
            }
            let rest = citations.rest();
            if !rest.is_empty() {
                first_token.get_or_insert_with(|| ms(clock.start.elapsed()));
                yield Part::Delta(rest);
            }
            let reason = finish_reason.unwrap_or_else(|| "stop".to_owned());
            let usage = sum(usage, spent);
            yield Part::Done(Done::new(reason, usage, citations.removed(), clock, first_token));
        }
    }

    /// The answer in one piece.
    ///
    /// # Errors
    /// When the model fails before it has finished.
    pub(crate) async fn whole(self) -> Result<Whole, Error> {
        let mut parts = std::pin::pin!(self.parts());
        let (mut answer, mut sources) = (String::new(), Vec::new());
        while let Some(part) = parts.next().await {
            match part? {
                Part::Sources(found) => sources = found,
                Part::Delta(text) => answer.push_str(&text),
                Part::Done(done) => {
                    return Ok(Whole {
                        answer,
                        sources,
                        done,
                    });
                }
            }
        }
        Err(Error::Internal(
            "an answer ended without its last part".to_owned(),
        ))
    }
}

impl Done {
    fn new(
        finish_reason: String,
        usage: Option<Usage>,
        citations_removed: usize,
        clock: Clock,
        first_token: Option<f64>,
    ) -> Self {
        Self {
            finish_reason,
            usage,
            citations_removed,
            took_ms: Took {
                retrieval: clock.retrieval,
                first_token,
                total: ms(clock.start.elapsed()),
            },
        }
    }
}

fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Usage {
            prompt_tokens: one.prompt_tokens + other.prompt_tokens,
            completion_tokens: one.completion_tokens + other.completion_tokens,
        }),
        (one, other) => one.or(other),
    }
}
