//! The record of a running invocation.

use std::{
    env, fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use lambda_http::http::HeaderMap;
use opentelemetry::Context;
use tracing::Span;

use super::trace_context;

tokio::task_local! {
    static RECORD: Record;
}

/// A measured part of an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Chunking, embedding and counting tokens, including the model's first load.
    Embed,
    /// Reranking, including the model's first load.
    Rerank,
    /// Waiting for a database connection, including its setup.
    Acquire,
    /// Waiting for the database's answers.
    Database,
}

/// The record of one invocation; clones share it.
#[derive(Clone, Debug)]
pub struct Record {
    entry: Arc<Mutex<RecordData>>,
    span: Span,
}

/// The data of a record.
#[derive(Debug)]
pub(super) struct RecordData {
    pub(super) request_id: String,
    pub(super) cold_start: bool,
    /// The duration of Init, if this is the first invocation after it.
    pub(super) init: Option<Duration>,
    /// The start of the invocation, by both clocks.
    pub(super) began: (SystemTime, Instant),
    /// The time until the response, or its last part, was produced; sending is not included.
    pub(super) total: Option<Duration>,
    /// The route key, `GET /documents/{id+}`: not the path, which may hold an id.
    pub(super) route: String,
    /// The HTTP status, or its equivalent; 500 until there is a response.
    pub(super) status: u16,
    /// The problem type of the response.
    pub(super) problem: Option<String>,
    /// Whether that problem is not the caller's fault, whatever the status.
    pub(super) broke: bool,
    pub(super) took: [Option<Duration>; Phase::ALL.len()],
    pub(super) rows: usize,
    /// Whether there was nothing to do: its line serves only metrics.
    pub(super) idle: bool,
    /// Metrics of the function's own: name, `CloudWatch` unit, value.
    pub(super) gauges: Vec<(&'static str, &'static str, f64)>,
    pub(super) pooler: Option<&'static str>,
    pub(super) pooler_proof: Option<&'static str>,
    /// Its trace and measured parts; `None` without a collector.
    pub(super) trace: Option<Trace>,
    /// What it has used so far.
    pub(super) usage: Usage,
    /// Work that waits until the response is sent.
    pub(super) afterwards: Option<Afterwards>,
}

/// What an invocation uses, for the account of its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Documents that were created or changed.
    pub documents: u64,
    /// Tokens that the embedding model has read.
    pub embedded_tokens: u64,
    /// Tokens that the language model has read.
    pub prompt_tokens: u64,
    /// Tokens that the language model has written.
    pub completion_tokens: u64,
}

/// Work that nobody waits for.
pub(super) struct Afterwards(pub(super) Pin<Box<dyn Future<Output = ()> + Send>>);

impl fmt::Debug for Afterwards {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Afterwards")
    }
}

/// The source data of spans.
#[derive(Debug)]
pub(super) struct Trace {
    /// The caller's span, if propagated.
    pub(super) parent: Context,
    /// Parts with their start and duration; at most [`Self::PARTS`].
    pub(super) parts: Vec<(Phase, Instant, Duration)>,
}

impl Phase {
    pub(super) const ALL: [Self; 4] = [Self::Embed, Self::Rerank, Self::Acquire, Self::Database];

    /// Its name in logs, metrics and spans.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Acquire => "acquire",
            Self::Database => "database",
        }
    }
}

impl RecordData {
    /// The duration of the invocation.
    pub(super) fn total(&self) -> Duration {
        self.total.unwrap_or_else(|| self.began.1.elapsed())
    }

    /// Whether it failed without the caller's fault.
    pub(super) fn is_failure(&self) -> bool {
        self.broke || self.status >= 500
    }
}

impl Usage {
    /// Adds what another one has used.
    pub fn add(&mut self, other: Self) {
        self.documents += other.documents;
        self.embedded_tokens += other.embedded_tokens;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
    }

    /// Takes away what was added before.
    pub fn take(&mut self, other: Self) {
        for (count, other) in [
            (&mut self.documents, other.documents),
            (&mut self.embedded_tokens, other.embedded_tokens),
            (&mut self.prompt_tokens, other.prompt_tokens),
            (&mut self.completion_tokens, other.completion_tokens),
        ] {
            *count = count.saturating_sub(other);
        }
    }
}

impl Trace {
    /// A long import has thousands of statements; the first ones are representative.
    const PARTS: usize = 64;
}

impl Record {
    /// Begins the record of an invocation; `init` is the duration of Init, if it is the first one, and `traced`
    /// whether a collector is configured.
    pub(super) fn begin(
        context: &lambda_runtime::Context,
        init: Option<Duration>,
        traced: bool,
    ) -> Self {
        // At a level that is never filtered: it carries the request id of every line within.
        let span = tracing::error_span!("invocation", request_id = context.request_id);
        let entry = RecordData {
            request_id: context.request_id.clone(),
            cold_start: init.is_some() && !is_provisioned(),
            init,
            began: (SystemTime::now(), Instant::now()),
            total: None,
            route: "invoke".to_owned(),
            status: 500,
            problem: None,
            broke: false,
            took: [None; Phase::ALL.len()],
            rows: 0,
            idle: false,
            gauges: Vec::new(),
            pooler: None,
            pooler_proof: None,
            trace: traced.then(|| Trace {
                parent: trace_context::amazon_parent(context.xray_trace_id.as_deref()),
                parts: Vec::new(),
            }),
            usage: Usage::default(),
            afterwards: None,
        };
        Self {
            entry: Arc::new(Mutex::new(entry)),
            span,
        }
    }

    /// The record of the current invocation.
    pub fn current() -> Option<Self> {
        RECORD.try_with(Self::clone).ok()
    }

    /// Runs work as part of the invocation.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        RECORD.sync_scope(self.clone(), work)
    }

    /// Records that the last part of a streamed response was produced, or its reader is gone.
    pub fn end(&self) {
        let mut entry = self.lock();
        entry.total = Some(entry.began.1.elapsed());
    }

    /// Awaits work as part of the invocation.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        use tracing::Instrument as _;
        RECORD
            .scope(self.clone(), work)
            .instrument(self.span.clone())
            .await
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RecordData> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures a part of the invocation until the returned guard is dropped. Wrapping the work would store its future
/// twice.
#[must_use]
pub fn measure(part: Phase) -> Measuring {
    let start = Instant::now();
    Measuring { part, start }
}

/// The guard of a measured part.
#[derive(Debug)]
pub struct Measuring {
    part: Phase,
    start: Instant,
}

impl Drop for Measuring {
    fn drop(&mut self) {
        let Self { part, start } = *self;
        let took = start.elapsed();
        note(|entry| {
            *entry.took[part as usize].get_or_insert_default() += took;
            if let Some(trace) = &mut entry.trace
                && trace.parts.len() < Trace::PARTS
            {
                trace.parts.push((part, start, took));
            }
        });
    }
}

/// The id of the current request, as in its log lines.
#[must_use]
pub fn request_id() -> Option<String> {
    let id = |record: &Record| record.lock().request_id.clone();
    RECORD.try_with(id).ok()
}

/// Runs `work` after the response is sent, before Lambda freezes the sandbox. One work of an invocation: the last one given.
pub fn afterwards(work: impl Future<Output = ()> + Send + 'static) {
    note(|entry| entry.afterwards = Some(Afterwards(Box::pin(work))));
}

/// Counts what the invocation uses.
pub fn used(count: impl FnOnce(&mut Usage)) {
    note(|entry| count(&mut entry.usage));
}

/// What the current invocation has used so far.
#[must_use]
pub fn usage() -> Usage {
    let usage = |record: &Record| record.lock().usage;
    RECORD.try_with(usage).unwrap_or_default()
}

/// Counts rows returned by the database.
pub fn rows(count: usize) {
    note(|entry| entry.rows += count);
}

/// Records that there was nothing to do: a function invoked each second on a laptop logs only when it did something.
pub fn idle() {
    note(|entry| entry.idle = true);
}

/// Records a metric of the function's own, with a `CloudWatch` unit.
pub fn gauge(name: &'static str, unit: &'static str, value: f64) {
    note(|entry| entry.gauges.push((name, unit, value)));
}

/// Records the pooler and its proof, each as one word.
pub fn pooler(pooler: &'static str, proof: &'static str) {
    note(|entry| {
        entry.pooler = Some(pooler);
        entry.pooler_proof = Some(proof);
    });
}

/// Records the route key, and the trace context from the headers.
pub fn asked(route: &str, headers: &HeaderMap) {
    note(|entry| {
        route.clone_into(&mut entry.route);
        if let Some(trace) = &mut entry.trace
            && let Some(parent) = trace_context::parent(headers)
        {
            trace.parent = parent;
        }
    });
}

/// Records the HTTP status of a response that is complete or begun, or its equivalent.
pub fn answered(status: u16) {
    note(|entry| {
        entry.status = status;
        entry.total = Some(entry.began.1.elapsed());
    });
}

/// Records the problem type and status of a response; in a stream, after the HTTP status was sent.
pub fn failed(problem: &str, status: u16) {
    note(|entry| {
        entry.problem = Some(problem.to_owned());
        entry.broke = status >= 500;
    });
}

fn note(what: impl FnOnce(&mut RecordData)) {
    // A no-op outside an invocation: during Init, and in the command.
    let _ = RECORD.try_with(|record| what(&mut record.lock()));
}

/// Whether the sandbox is provisioned concurrency.
fn is_provisioned() -> bool {
    env::var("AWS_LAMBDA_INITIALIZATION_TYPE").is_ok_and(|how| how == "provisioned-concurrency")
}
