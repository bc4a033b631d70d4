//! The log line of an invocation, in the embedded metric format if metrics are on:
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.
//! `CloudWatch` stores it like any line, and extracts metrics from the fields that it names.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::SystemTime,
};

use lambda_runtime::tracing::subscriber::fmt::{format::Writer, time::FormatTime as _};
use serde::Serialize;

use super::record::{Phase, RecordData};
use crate::{TelemetryConfig, ms};

/// The format of the line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    /// Text, like the other lines of a text log.
    Text,
    /// One JSON object, with or without metrics.
    Json {
        /// Whether `CloudWatch` extracts metrics from it.
        metrics: bool,
    },
}

/// Unknown fields are omitted.
#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    message: &'static str,
    request_id: &'a str,
    function: &'a str,
    route: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooler: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooler_proof: Option<&'static str>,
    cold_start: bool,
    #[serde(flatten)]
    metrics: Metrics,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    aws: Option<Aws>,
}

/// Milliseconds, and counts. A metric has its field's name.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
struct Metrics {
    #[serde(skip_serializing_if = "Option::is_none")]
    init: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<f64>,
    total: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<usize>,
    /// 1 if it failed without the caller's fault, else 0: the sum is a count, the mean a rate.
    errors: u8,
    /// 1 on a cold start, else 0.
    cold_starts: u8,
    /// Metrics of the function's own.
    #[serde(flatten)]
    gauges: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    units: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Aws {
    /// Milliseconds since 1970.
    timestamp: u128,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 2]; 1],
    metrics: Vec<Metric>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl Format {
    pub(super) fn of(json: bool, config: TelemetryConfig) -> Self {
        let TelemetryConfig { metrics } = config;
        if json || metrics {
            Self::Json { metrics }
        } else {
            Self::Text
        }
    }

    /// Writes the line of a finished invocation, unless the log level is above INFO.
    pub(super) fn write(self, function: &str, entry: &RecordData) {
        if !tracing::enabled!(tracing::Level::INFO) {
            return;
        }
        if entry.idle && !entry.is_failure() && !matches!(self, Self::Json { metrics: true }) {
            return;
        }
        let metrics = Metrics::of(entry);
        match self {
            Self::Text => write_text(function, entry, &metrics),
            Self::Json { metrics: wanted } => {
                let line = Line {
                    timestamp: timestamp(),
                    level: "INFO",
                    message: MESSAGE,
                    request_id: &entry.request_id,
                    function,
                    route: &entry.route,
                    status: entry.status,
                    problem: entry.problem.as_deref(),
                    pooler: entry.pooler,
                    pooler_proof: entry.pooler_proof,
                    cold_start: entry.cold_start,
                    aws: wanted.then(|| Aws::of(&metrics)),
                    metrics,
                };
                let mut line = serde_json::to_vec(&line).unwrap_or_default();
                line.push(b'\n');
                // A single write, so that no other line interleaves; a closed log fails no request.
                let _ = io::stdout().lock().write_all(&line);
            }
        }
    }
}

const MESSAGE: &str = "answered";

fn write_text(function: &str, entry: &RecordData, metrics: &Metrics) {
    tracing::info!(
        function,
        route = entry.route,
        status = entry.status,
        problem = entry.problem,
        pooler = entry.pooler,
        pooler_proof = entry.pooler_proof,
        cold_start = entry.cold_start,
        init = metrics.init,
        embed = metrics.embed,
        rerank = metrics.rerank,
        acquire = metrics.acquire,
        database = metrics.database,
        total = metrics.total,
        rows = metrics.rows,
        gauges = (!metrics.gauges.is_empty()).then(|| tracing::field::debug(&metrics.gauges)),
        "{MESSAGE}"
    );
}

impl Metrics {
    fn of(entry: &RecordData) -> Self {
        let part = |part: Phase| entry.took[part as usize].map(ms);
        Self {
            init: entry.init.map(ms),
            embed: part(Phase::Embed),
            rerank: part(Phase::Rerank),
            acquire: part(Phase::Acquire),
            database: part(Phase::Database),
            total: ms(entry.total()),
            rows: part(Phase::Database).map(|_| entry.rows),
            errors: entry.is_failure().into(),
            cold_starts: entry.cold_start.into(),
            gauges: entry
                .gauges
                .iter()
                .map(|&(name, _, value)| (name, value))
                .collect(),
            units: entry
                .gauges
                .iter()
                .map(|&(name, unit, _)| Metric { name, unit })
                .collect(),
        }
    }

    /// The metrics that have a value, with their units.
    fn named(&self) -> Vec<Metric> {
        let times = [
            ("init", self.init.is_some()),
            ("embed", self.embed.is_some()),
            ("rerank", self.rerank.is_some()),
            ("acquire", self.acquire.is_some()),
            ("database", self.database.is_some()),
            ("total", true),
        ];
        let counts = [
            ("rows", self.rows.is_some()),
            ("errors", true),
            ("cold_starts", true),
        ];
        let known = |unit| {
            move |(name, known): (&'static str, bool)| known.then_some(Metric { name, unit })
        };
        times
            .into_iter()
            .filter_map(known("Milliseconds"))
            .chain(counts.into_iter().filter_map(known("Count")))
            .chain(self.units.iter().copied())
            .collect()
    }
}

impl Aws {
    fn of(metrics: &Metrics) -> Self {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self {
            timestamp: now.as_millis(),
            cloud_watch_metrics: [Directive {
                namespace: "Rappel",
                dimensions: [["function", "route"]],
                metrics: metrics.named(),
            }],
        }
    }
}

/// Now, in RFC 3339, as in the other log lines.
fn timestamp() -> String {
    let mut now = String::with_capacity(32);
    // Writing to a String never fails.
    let _ = lambda_runtime::tracing::subscriber::fmt::time::SystemTime
        .format_time(&mut Writer::new(&mut now));
    now
}
