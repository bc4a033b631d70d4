//! The parts of an answer as server-sent events.

use std::{panic::AssertUnwindSafe, time::Duration};

use async_stream::stream;
use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use shared::{Error, http};
use tokio::time::timeout;

use crate::{
    answer::{Answer, Part},
    sources::Source,
};

/// A comment, which readers of events pass over. It keeps what lies in between from closing a silent
/// connection, and shows whether the reader is still there.
const HEARTBEAT: &str = ": still working\n\n";

#[derive(Serialize)]
struct Sources {
    sources: Vec<Source>,
}

#[derive(Serialize)]
struct Delta {
    text: String,
}

/// The events of an answer, made as they are taken: `sources`, then `delta`s, then `done`; or `error`,
/// a problem document, where it fails.
pub(crate) fn written(answer: Answer) -> impl Stream<Item = String> + Send + 'static {
    let heartbeat = answer.state.chat_config().heartbeat;
    let parts = AssertUnwindSafe(answer.parts()).catch_unwind();
    let parts = parts.map(|part| part.unwrap_or_else(|panic| Err(Error::panicked(&*panic))));
    let events = parts.map(|part| match part {
        Ok(Part::Sources(sources)) => event("sources", &Sources { sources }),
        Ok(Part::Delta(text)) => event("delta", &Delta { text }),
        Ok(Part::Done(done)) => event("done", &done),
        Err(error) => event("error", &http::report(&error)),
    });
    with_heartbeats(events, heartbeat)
}

fn event(name: &str, data: &impl Serialize) -> String {
    // JSON has no line breaks of its own, so the data is one line.
    let data = serde_json::to_string(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}

/// The events, with a comment wherever there is none for so long.
fn with_heartbeats(
    events: impl Stream<Item = String> + Send,
    every: Duration,
) -> impl Stream<Item = String> + Send {
    stream! {
        let mut events = std::pin::pin!(events);
        loop {
            match timeout(every, events.next()).await {
                Ok(Some(event)) => yield event,
                Ok(None) => break,
                Err(_) => yield HEARTBEAT.to_owned(),
            }
        }
    }
}
