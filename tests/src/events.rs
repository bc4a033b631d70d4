//! Streamed responses, read while they are produced.

use std::{pin::Pin, time::Duration};

use anyhow::{Context, Result, ensure};
use eventsource_stream::Eventsource as _;
use futures_util::{Stream, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;

use crate::{Answer, App};

/// Server-sent events, read one by one.
pub struct Events {
    events: Pin<Box<dyn Stream<Item = Result<Event>> + Send>>,
}

/// An event's name and data.
type Event = (String, Value);

/// No event of a test takes a tenth of this.
const HANG: Duration = Duration::from_mins(1);

impl App {
    /// `POST path` with a JSON body; returns the unread response.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn open(&self, path: &str, body: &Value) -> Result<reqwest::Response> {
        let request = self.client.post(self.at(path)?).json(body);
        request
            .send()
            .await
            .context("sending a request to the gateway")
    }

    /// `POST path` with a JSON body; returns the events of the response.
    ///
    /// # Errors
    /// When the response is not an event stream.
    pub async fn events(&self, path: &str, body: &Value) -> Result<Events> {
        let response = self.open(path, body).await?;
        let content_type = response.headers().get("content-type").cloned();
        if content_type.is_none_or(|value| value != "text/event-stream; charset=utf-8") {
            let answer = Answer::read(response).await?;
            anyhow::bail!("not an event stream: {} {}", answer.status, answer.text);
        }
        ensure!(
            response.headers().contains_key("x-request-id"),
            "every response carries x-request-id"
        );
        // Without these headers a proxy would buffer events.
        for (name, expected) in [
            ("cache-control", "no-cache, no-transform"),
            ("x-accel-buffering", "no"),
        ] {
            let value = response.headers().get(name);
            ensure!(
                value.is_some_and(|value| value == expected),
                "{name}: {value:?}"
            );
        }
        let events = response.bytes_stream().eventsource().map(|event| {
            let event = event?;
            let mut data: Value = serde_json::from_str(&event.data).context("the data are JSON")?;
            // As in `Answer`: in one order, whatever features serde_json has.
            data.sort_all_objects();
            Ok((event.event, data))
        });
        Ok(Events {
            events: Box::pin(events),
        })
    }
}

impl Events {
    /// The data of the next event, which must have this name; `retrieval` may precede it on a busy machine.
    ///
    /// # Errors
    /// When another event arrives, or none within a minute.
    pub async fn expect(&mut self, name: &str) -> Result<Value> {
        let (mut found, mut data) = (String::new(), Value::Null);
        while found.is_empty() || (found == "retrieval" && name != found) {
            let next = self.next().await?;
            (found, data) = next.with_context(|| format!("the stream ended before {name}"))?;
        }
        ensure!(found == name, "expected {name}, got {found}: {data}");
        Ok(data)
    }

    /// The text of the `delta`s until another event, and that event. A whole answer is read to its end: a
    /// sandbox whose reader leaves before that exits.
    ///
    /// # Errors
    /// When the stream ends or stalls, or an event follows `done`.
    pub async fn text(&mut self) -> Result<(String, String, Value)> {
        let mut text = String::new();
        loop {
            let (name, data) = self
                .next()
                .await?
                .context("the stream ended within the text")?;
            if name != "delta" {
                if name == "done" {
                    ensure!(self.next().await?.is_none(), "an event follows done");
                }
                return Ok((text, name, data));
            }
            text += data["text"].as_str().context("a delta has text")?;
        }
    }

    /// The next event, or `None` at the end.
    ///
    /// # Errors
    /// When the stream breaks or stalls.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        let event = timeout(HANG, self.events.next())
            .await
            .context("no event for a minute")?;
        event.transpose()
    }
}
