//! The parts of an answer as server-sent events.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::{Error, http};
use tokio::time::timeout;

use crate::{
    answer::{Answer, AnswerEvent},
    sources::ChatSource,
};

/// A comment, which readers of events ignore. It stops proxies from closing a silent connection, and detects a lost
/// reader.
pub(crate) const HEARTBEAT: &str = ": still working\n\n";

/// The event `sources`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatSources")]
pub(crate) struct Sources {
    /// The question that was searched for.
    query: String,
    /// The passages, numbered as the answer cites them.
    #[schemars(with = "Vec<ChatSource>")]
    sources: Box<RawValue>,
}

/// The events `delta` and `reasoning`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ChatText")]
pub(crate) struct Text {
    /// A piece of the text.
    text: String,
}

/// The events of an answer, made on demand: `sources`, then `delta`s, then `done`; or `failure`, a problem
/// document, where it fails. `retrieval` precedes them if the sources take long, and `reasoning` comes between them
/// on request.
pub(crate) fn written(answer: Answer) -> impl Stream<Item = String> + Send + 'static {
    written_by(answer, |part| match part {
        Ok(AnswerEvent::Retrieval) => event("retrieval", &json!({ "state": "running" })),
        Ok(AnswerEvent::Sources(query, sources)) => event("sources", &Sources { query, sources }),
        Ok(AnswerEvent::Reasoning(text)) => event("reasoning", &Text { text }),
        Ok(AnswerEvent::Delta(text)) => event("delta", &Text { text }),
        Ok(AnswerEvent::Done(done)) => event("done", &done),
        Err(error) => failure(&error),
    })
}

/// The non-empty output of `write` for the parts of an answer, with comments between slow parts.
pub(crate) fn written_by(
    answer: Answer,
    write: impl FnMut(Result<AnswerEvent, Error>) -> String + Send + 'static,
) -> impl Stream<Item = String> + Send + 'static {
    let heartbeat = answer.state.config.heartbeat;
    let waits = answer.waits();
    let parts = AssertUnwindSafe(answer.parts()).catch_unwind();
    let parts = parts.map(|part| part.unwrap_or_else(|panic| Err(Error::panicked(&*panic))));
    with_heartbeats(parts.map(write), heartbeat, waits)
}

/// A failure has two names for one version: browsers also call a lost connection `error`.
fn failure(error: &Error) -> String {
    let problem = http::report(error);
    event("failure", &problem) + &event("error", &problem)
}

fn event(name: &str, data: &impl Serialize) -> String {
    // serde_json writes no line breaks, so the data is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The events, with a comment after each such silence, and `at_once` before the first, to send the response's
/// head.
fn with_heartbeats(
    events: impl Stream<Item = String> + Send,
    every: Duration,
    at_once: bool,
) -> impl Stream<Item = String> + Send {
    stream! {
        let mut events = std::pin::pin!(events);
        if at_once {
            yield HEARTBEAT.to_owned();
        }
        loop {
            match timeout(every, events.next()).await {
                Ok(Some(event)) => yield event,
                Ok(None) => break,
                Err(_) => yield HEARTBEAT.to_owned(),
            }
        }
    }
}
