//! An OpenTelemetry collector that records spans.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, any_value::Value},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use tokio::time::{sleep, timeout};

use crate::endpoint::Endpoint;

/// A collector on a port, until dropped.
pub struct Collector {
    endpoint: Endpoint,
    mood: Arc<Mutex<Mood>>,
}

/// How the collector responds.
#[derive(Clone, Copy, Debug)]
pub enum Mood {
    /// Accepts spans.
    Takes,
    /// Responds with an error.
    Fails,
    /// Never responds.
    Hangs,
}

/// A recorded span.
#[derive(Clone, Debug)]
pub struct Seen {
    /// `service.name` of the sender.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The trace id, in hexadecimal.
    pub trace: String,
    /// The span id, in hexadecimal.
    pub id: String,
    /// The parent's span id, in hexadecimal; empty without parent.
    pub parent: String,
    /// Start and end, in nanoseconds since 1970.
    pub time: (u64, u64),
    /// Its attributes, as text.
    pub attributes: Vec<(String, String)>,
    /// Whether its status is an error.
    pub failed: bool,
}

impl Collector {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When none is free.
    pub async fn start(mood: Mood) -> Result<Self> {
        let mood = Arc::new(Mutex::new(mood));
        let shown = Arc::clone(&mood);
        let endpoint = Endpoint::answering(move |_| {
            match *shown.lock().unwrap_or_else(PoisonError::into_inner) {
                Mood::Takes => Some((200, String::new())),
                Mood::Fails => Some((500, String::new())),
                Mood::Hangs => None,
            }
        });
        Ok(Self {
            endpoint: endpoint.await?,
            mood,
        })
    }

    /// Its URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Changes the response from now on.
    pub fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    /// Number of export requests.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.endpoint.asked().len()
    }

    /// The spans of `service`, once the one called `name` has arrived.
    ///
    /// # Errors
    /// When it does not arrive within a minute, or an export is not OTLP.
    pub async fn spans(&self, service: &str, name: &str) -> Result<Vec<Seen>> {
        let look = async {
            loop {
                let spans = self.sent()?;
                let mine = spans.into_iter().filter(|span| span.service == service);
                let mine: Vec<_> = mine.collect();
                if mine.iter().any(|span| span.name == name) {
                    return Ok(mine);
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let found = timeout(Duration::from_mins(1), look).await;
        found.with_context(|| format!("{service} sends no span {name}"))?
    }

    fn sent(&self) -> Result<Vec<Seen>> {
        let mut seen = Vec::new();
        for asked in self.endpoint.asked() {
            ensure!(asked.path == "/v1/traces", "{}", asked.path);
            let request = ExportTraceServiceRequest::decode(&*asked.body)
                .context("the body is a request of OTLP")?;
            for resource in request.resource_spans {
                let attributes = resource.resource.unwrap_or_default().attributes;
                let service = attributes.into_iter().find(|it| it.key == "service.name");
                let service = service.map(|it| text(it.value)).unwrap_or_default();
                for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
                    seen.push(Seen::of(service.clone(), span));
                }
            }
        }
        Ok(seen)
    }
}

impl Seen {
    fn of(service: String, span: Span) -> Self {
        let failed = span
            .status
            .is_some_and(|status| status.code == StatusCode::Error as i32);
        Self {
            service,
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            time: (span.start_time_unix_nano, span.end_time_unix_nano),
            attributes: span
                .attributes
                .into_iter()
                .map(|it| (it.key, text(it.value)))
                .collect(),
            failed,
        }
    }

    /// The attribute called `name`, as text.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        attributes.find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a String cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        _ => String::new(),
    }
}
