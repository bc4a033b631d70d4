//! The parts of an answer as server-sent events.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde_json::{json, value::RawValue};
use shared::{Error, http};
use tokio::time::timeout;

use crate::answer::{Answer, Part};

/// A comment, which readers of events pass over. It keeps what lies in between from closing a silent
/// connection, and shows whether the reader is still there.
pub(crate) const HEARTBEAT: &str = ": still working\n\n";

#[derive(Serialize)]
struct Sources {
    query: String,
    sources: Box<RawValue>,
}

#[derive(Serialize)]
struct Text {
    text: String,
}

/// The events of an answer, made as they are taken: `sources`, then `delta`s, then `done`; or `failure`,
/// a problem document, where it fails. `retrieval` comes before them if the sources take long, and
/// `reasoning` between them if it was asked for.
pub(crate) fn written(answer: Answer) -> impl Stream<Item = String> + Send + 'static {
    written_by(answer, |part| match part {
        Ok(Part::Retrieval) => event("retrieval", &json!({ "state": "running" })),
        Ok(Part::Sources(query, sources)) => event("sources", &Sources { query, sources }),
        Ok(Part::Reasoning(text)) => event("reasoning", &Text { text }),
        Ok(Part::Delta(text)) => event("delta", &Text { text }),
        Ok(Part::Done(done)) => event("done", &done),
        Err(error) => failure(&error),
    })
}

/// What `write` makes of the parts of an answer, none of it empty, with comments between them where they take long.
pub(crate) fn written_by(
    answer: Answer,
    write: impl FnMut(Result<Part, Error>) -> String + Send + 'static,
) -> impl Stream<Item = String> + Send + 'static {
    let heartbeat = answer.state.config.heartbeat;
    let waits = answer.waits();
    let parts = AssertUnwindSafe(answer.parts()).catch_unwind();
    let parts = parts.map(|part| part.unwrap_or_else(|panic| Err(Error::panicked(&*panic))));
    with_heartbeats(parts.map(write), heartbeat, waits)
}

/// A failure bears two names for the time of one version: browsers call a lost connection `error` as well.
fn failure(error: &Error) -> String {
    let problem = http::report(error);
    event("failure", &problem) + &event("error", &problem)
}

fn event(name: &str, data: &impl Serialize) -> String {
    // JSON has no line breaks of its own, so the data is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The events, with a comment wherever there is none for so long, and `at_once` before the first: it makes
/// the response's head leave.
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
