//! Exports an invocation's spans to an OpenTelemetry collector, if the `OTEL_*` variables name one:
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.
//!
//! They are built once the response is sent, and exported before the next invocation is requested: Lambda freezes the
//! sandbox only then.

use std::{
    env, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _, TracerProvider as _},
};
use opentelemetry_otlp::{
    Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor},
};
use settings::ConfigError;
use tokio::time::{Instant, timeout};

use super::record::{RecordData, Trace};

/// A collector in the sandbox or nearby answers in milliseconds. The specification's default of ten seconds would be
/// paid for at each invocation.
const LIMIT: Duration = Duration::from_secs(1);

/// The pause after a failed export.
const PAUSE: Duration = Duration::from_secs(30);

/// The part of the invocation's time reserved for Lambda itself.
const MARGIN: Duration = Duration::from_millis(200);

/// Exports the spans of each invocation.
#[derive(Debug)]
pub(super) struct Exporter {
    tracer: SdkTracer,
    finished: Finished,
    sender: SpanExporter,
    limit: Duration,
    /// The end of the pause.
    paused: Mutex<Option<Instant>>,
}

/// The spans that have ended since the last take.
#[derive(Clone, Debug, Default)]
struct Finished(Arc<Mutex<Vec<SpanData>>>);

impl Exporter {
    /// The exporter by the `OTEL_*` variables; `None` if they name no collector.
    ///
    /// # Errors
    /// When one of them is unsupported.
    pub(super) fn from_env(function: &str) -> Result<Option<Self>, ConfigError> {
        let asked = ENDPOINTS
            .into_iter()
            .any(|variable| set(variable).is_some());
        let off = set("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
            || set("OTEL_TRACES_EXPORTER").is_some_and(|it| it == "none");
        if !asked || off {
            return Ok(None);
        }
        for variable in [
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
            "OTEL_EXPORTER_OTLP_PROTOCOL",
        ] {
            if let Some(value) = set(variable).filter(|value| value != "http/protobuf") {
                return Err(ConfigError::Invalid {
                    variable,
                    value,
                    expected: "must be http/protobuf, the only supported protocol",
                });
            }
        }
        let limit = TIMEOUTS
            .into_iter()
            .find_map(|variable| set(variable)?.parse().ok());
        let limit = limit.map_or(LIMIT, Duration::from_millis);
        let unusable = || ConfigError::Unusable {
            variable: ENDPOINTS[1],
            expected: "and the variables beside it must lead to a collector, for example http://localhost:4318",
        };
        // As for the language model: an idle connection would not survive a freeze.
        let client = http_client::builder()
            .timeout(limit)
            .pool_max_idle_per_host(0)
            .build();
        let mut sender = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_http_client(client.map_err(|_| unusable())?)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(|_| unusable())?;
        let resource = resource(function);
        sender.set_resource(&resource);
        let finished = Finished::default();
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_span_processor(finished.clone())
            .build();
        Ok(Some(Self {
            tracer: provider.tracer("rappel"),
            finished,
            sender,
            limit,
            paused: Mutex::default(),
        }))
    }

    /// The spans of an invocation of a process started at `process_began`: none if its trace is not sampled.
    pub(super) fn spans(&self, process_began: SystemTime, entry: &RecordData) -> Vec<SpanData> {
        let Some(Trace { parent, parts }) = &entry.trace else {
            return Vec::new();
        };
        let (began, clock) = entry.began;
        let root = self
            .tracer
            .span_builder(entry.route.clone())
            .with_kind(SpanKind::Server)
            .with_start_time(began)
            .with_attributes(attributes(entry))
            .start_with_context(&self.tracer, parent);
        let here = parent.with_span(root);
        let child = |name: &'static str, start: SystemTime, took: Duration| {
            let builder = self.tracer.span_builder(name).with_start_time(start);
            let mut span = builder.start_with_context(&self.tracer, &here);
            span.end_with_timestamp(start + took);
        };
        if let Some(init) = entry.init {
            child("init", process_began, init);
        }
        for (part, start, took) in parts {
            child(
                part.name(),
                began + start.saturating_duration_since(clock),
                *took,
            );
        }
        if entry.is_failure() {
            here.span().set_status(Status::error(""));
        }
        here.span().end_with_timestamp(began + entry.total());
        mem::take(&mut *self.finished.lock())
    }

    /// Exports spans, or drops them: at the timeout, shortly before `deadline`, or during the pause after a failure.
    pub(super) async fn export(&self, spans: Vec<SpanData>, deadline: SystemTime) {
        let paused = *self.lock_paused();
        if spans.is_empty() || paused.is_some_and(|until| Instant::now() < until) {
            return;
        }
        // `cargo lambda watch` sends a deadline in 1970: no limit.
        let left = deadline
            .duration_since(SystemTime::now())
            .unwrap_or(self.limit);
        let limit = self.limit.min(left.saturating_sub(MARGIN));
        let sent = timeout(limit, self.sender.export(spans)).await;
        let cause = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no response within {} ms", limit.as_millis())),
        };
        if let Some(cause) = &cause {
            let pause = PAUSE.as_secs();
            tracing::warn!(
                cause,
                pause,
                "the collector did not accept the spans of this invocation"
            );
        }
        *self.lock_paused() = cause.map(|_| Instant::now() + PAUSE);
    }

    fn lock_paused(&self) -> MutexGuard<'_, Option<Instant>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

const TIMEOUTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
];

/// Attributes of <https://opentelemetry.io/docs/specs/semconv/faas/> and
/// <https://opentelemetry.io/docs/specs/semconv/http/>.
fn attributes(entry: &RecordData) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("faas.invocation_id", entry.request_id.clone()),
        KeyValue::new("faas.coldstart", entry.cold_start),
        KeyValue::new("http.response.status_code", i64::from(entry.status)),
        KeyValue::new("rappel.rows", i64::try_from(entry.rows).unwrap_or(i64::MAX)),
    ];
    if let Some((method, route)) = entry.route.split_once(' ') {
        attributes.push(KeyValue::new("http.request.method", method.to_owned()));
        attributes.push(KeyValue::new("http.route", route.to_owned()));
    }
    if let Some(pooler) = entry.pooler {
        attributes.push(KeyValue::new("rappel.pooler", pooler));
    }
    if let Some(problem) = &entry.problem {
        attributes.push(KeyValue::new("error.type", problem.clone()));
    }
    attributes
}

/// The resource: `rappel-search`, unless the `OTEL_*` variables name another service.
fn resource(function: &str) -> Resource {
    let named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|it| it.contains("service.name="));
    let resource = Resource::builder();
    if named {
        resource.build()
    } else {
        resource
            .with_service_name(format!("rappel-{function}"))
            .build()
    }
}

/// An empty variable counts as unset, as everywhere.
fn set(variable: &str) -> Option<String> {
    env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

impl Finished {
    fn lock(&self) -> MutexGuard<'_, Vec<SpanData>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SpanProcessor for Finished {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.lock().push(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _limit: Duration) -> OTelSdkResult {
        Ok(())
    }
}
