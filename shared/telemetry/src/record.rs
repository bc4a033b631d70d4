//! What is known of an invocation while it runs.

use std::{
    env,
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

/// A part of an invocation that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Chunking, embedding and counting tokens, with the model's loading if it comes first.
    Embed,
    /// Reranking, with the model's loading if it comes first.
    Rerank,
    /// Waiting for a connection to the database, which may have to be made.
    Acquire,
    /// Waiting for answers of the database.
    Database,
}

/// The record of one invocation; clones are the same record.
#[derive(Clone, Debug)]
pub struct Record {
    entry: Arc<Mutex<Entry>>,
    span: Span,
}

/// What a record holds.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) request_id: String,
    pub(super) cold_start: bool,
    /// How long Init took, if this is the first invocation after it.
    pub(super) init: Option<Duration>,
    /// When the invocation came, by both clocks.
    pub(super) began: (SystemTime, Instant),
    /// How long it took until its answer was made, or the last of it; not until that had left.
    pub(super) total: Option<Duration>,
    /// The key of its route, `GET /documents/{id+}`: no path, which may hold an id.
    pub(super) route: String,
    /// The HTTP status, or what would be it; 500 until something was answered.
    pub(super) status: u16,
    /// The type of the problem that the caller was told.
    pub(super) problem: Option<String>,
    /// Whether that problem is none of the caller's making, whatever the status was.
    pub(super) broke: bool,
    pub(super) took: [Option<Duration>; Part::ALL.len()],
    pub(super) rows: usize,
    /// Whether nothing was done: its line is of no use but for metrics.
    pub(super) idle: bool,
    /// Numbers that a function measures itself: name, unit of `CloudWatch`, value.
    pub(super) gauges: Vec<(&'static str, &'static str, f64)>,
    pub(super) pooler: Option<&'static str>,
    pub(super) pooler_proof: Option<&'static str>,
    /// The trace that it belongs to, and its measured parts; `None` if no collector is set.
    pub(super) trace: Option<Trace>,
}

/// What spans are made of.
#[derive(Debug)]
pub(super) struct Trace {
    /// The caller's span, if it named one.
    pub(super) parent: Context,
    /// Parts with their beginning and their time; at most [`Self::PARTS`].
    pub(super) parts: Vec<(Part, Instant, Duration)>,
}

impl Part {
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

impl Entry {
    /// How long the invocation took.
    pub(super) fn total(&self) -> Duration {
        self.total.unwrap_or_else(|| self.began.1.elapsed())
    }

    /// Whether it failed by no fault of the caller.
    pub(super) fn is_failure(&self) -> bool {
        self.broke || self.status >= 500
    }
}

impl Trace {
    /// A long import has thousands of statements; its first ones tell what they are like.
    const PARTS: usize = 64;
}

impl Record {
    /// Begins the record of an invocation; `init` is how long Init took, if it is the first one, and `traced` whether a
    /// collector is set.
    pub(super) fn begin(
        context: &lambda_runtime::Context,
        init: Option<Duration>,
        traced: bool,
    ) -> Self {
        // At a level that is always heard: it is the request id of every line that is logged within.
        let span = tracing::error_span!("invocation", request_id = context.request_id);
        let entry = Entry {
            request_id: context.request_id.clone(),
            cold_start: init.is_some() && !is_provisioned(),
            init,
            began: (SystemTime::now(), Instant::now()),
            total: None,
            route: "invoke".to_owned(),
            status: 500,
            problem: None,
            broke: false,
            took: [None; Part::ALL.len()],
            rows: 0,
            idle: false,
            gauges: Vec::new(),
            pooler: None,
            pooler_proof: None,
            trace: traced.then(|| Trace {
                parent: trace_context::amazon_parent(context.xray_trace_id.as_deref()),
                parts: Vec::new(),
            }),
        };
        Self {
            entry: Arc::new(Mutex::new(entry)),
            span,
        }
    }

    /// The record of the invocation that runs.
    pub fn current() -> Option<Self> {
        RECORD.try_with(Self::clone).ok()
    }

    /// Does work that belongs to the invocation.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        let _entered = self.span.enter();
        RECORD.sync_scope(self.clone(), work)
    }

    /// Notes that the last of a streamed answer is made, or nobody takes it any more.
    pub fn end(&self) {
        let mut entry = self.lock();
        entry.total = Some(entry.began.1.elapsed());
    }

    /// Waits for work that belongs to the invocation.
    pub async fn around<F: Future>(&self, work: F) -> F::Output {
        use tracing::Instrument as _;
        RECORD
            .scope(self.clone(), work)
            .instrument(self.span.clone())
            .await
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Entry> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Measures a part of the invocation until the answer is dropped. Wrapping the work instead would hold its
/// future twice.
#[must_use]
pub fn measure(part: Part) -> Measuring {
    let start = Instant::now();
    Measuring { part, start }
}

/// A part that is being measured.
#[derive(Debug)]
pub struct Measuring {
    part: Part,
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

/// The id of the request that is answered, under which the log has its lines.
#[must_use]
pub fn request_id() -> Option<String> {
    let id = |record: &Record| record.lock().request_id.clone();
    RECORD.try_with(id).ok()
}

/// Notes rows that the database answered with.
pub fn rows(count: usize) {
    note(|entry| entry.rows += count);
}

/// Notes that there was nothing to do: a function that is invoked each second on a laptop says only that it did something.
pub fn idle() {
    note(|entry| entry.idle = true);
}

/// Notes a number that the function measures itself, under its name, with a unit of `CloudWatch`.
pub fn gauge(name: &'static str, unit: &'static str, value: f64) {
    note(|entry| entry.gauges.push((name, unit, value)));
}

/// Notes what stands between here and the database, and how that is known, in a word each.
pub fn pooler(pooler: &'static str, proof: &'static str) {
    note(|entry| {
        entry.pooler = Some(pooler);
        entry.pooler_proof = Some(proof);
    });
}

/// Notes which route was asked for, by its key, and whose trace it belongs to, by its headers.
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

/// Notes the HTTP status of an answer that is made or begun, or what would be it.
pub fn answered(status: u16) {
    note(|entry| {
        entry.status = status;
        entry.total = Some(entry.began.1.elapsed());
    });
}

/// Notes the type of the problem that a caller is told, and its status; of a stream, after its status has
/// been sent.
pub fn failed(problem: &str, status: u16) {
    note(|entry| {
        entry.problem = Some(problem.to_owned());
        entry.broke = status >= 500;
    });
}

fn note(what: impl FnOnce(&mut Entry)) {
    // Nothing is noted outside an invocation: at Init, and in the command.
    let _ = RECORD.try_with(|record| what(&mut record.lock()));
}

/// Whether Lambda had this sandbox ready before anybody asked.
fn is_provisioned() -> bool {
    env::var("AWS_LAMBDA_INITIALIZATION_TYPE").is_ok_and(|how| how == "provisioned-concurrency")
}
