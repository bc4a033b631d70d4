//! What is told of each invocation when it is over: a line in the log, which `CloudWatch` makes metrics
//! of, and spans for a collector of OpenTelemetry, if one is set.
//!
//! Rooms that measure call [`measure`] and [`rows`]; `shared::http` says which route was asked for and
//! how it ended. All of it is noted in the record of the invocation that runs, or nowhere if none does.
//! No text of a request or a document, no id of a document and no secret is told: see [`logging`].

mod cause;
mod config;
mod line;
mod logging;
mod milliseconds;
mod record;
mod spans;
mod watch;

use std::{
    env,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock, atomic::AtomicBool},
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaInvocation, Runtime, Service};
use settings::ConfigError;

pub use self::{
    cause::{chain, of_panic},
    config::TelemetryConfig,
    milliseconds::ms,
    record::{Part, Record, answered, asked, failed, measure, pooler, request_id, rows},
};
use self::{line::Format, spans::Exporter, watch::Watch};

/// What tells of a function's invocations, from the start of its process to its end.
#[derive(Debug)]
pub struct Telemetry {
    function: &'static str,
    format: Format,
    exporter: Option<Exporter>,
    /// When the process began its Init, by both clocks.
    began: (SystemTime, Instant),
    /// How long Init took.
    init: OnceLock<Duration>,
    /// Whether no invocation has come yet.
    first: AtomicBool,
}

impl Telemetry {
    /// Starts the log of the function called `function`, whose crate has the same name: the first thing
    /// that a function does.
    ///
    /// # Errors
    /// When a setting is wrong.
    pub fn start(function: &'static str) -> Result<Self, ConfigError> {
        let began = (SystemTime::now(), Instant::now());
        let json = logging::start(function);
        let configured = || -> Result<_, ConfigError> {
            let format = Format::of(json, TelemetryConfig::from_env()?);
            Ok((format, Exporter::from_env(function)?))
        };
        let (format, exporter) =
            configured().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
        Ok(Self {
            function,
            format,
            exporter,
            began,
            init: OnceLock::new(),
            first: AtomicBool::new(true),
        })
    }

    /// Runs a function until Lambda ends it, and tells of each invocation after its answer has left: the
    /// caller does not wait for that, and Lambda freezes nothing before it.
    ///
    /// # Errors
    /// When the Runtime API is away.
    pub async fn run<S>(self, runtime: Runtime<S>) -> Result<(), lambda_runtime::Error>
    where
        S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error> + 'static,
    {
        let took = self.began.1.elapsed();
        self.init.get_or_init(|| took);
        let telemetry = Arc::new(self);
        let watch = lambda_runtime::tower::layer::layer_fn(move |inner| {
            Watch::new(inner, Arc::clone(&telemetry))
        });
        runtime.layer(watch).run().await
    }
}

/// Notes how the work of an invocation that is no request over HTTP ended, as 200 or 500, and logs why
/// it failed. A panic is a failure too.
///
/// # Errors
/// Those of `work`.
pub async fn outcome<T, E>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, lambda_runtime::Error>
where
    E: Into<lambda_runtime::Error>,
{
    let outcome = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(panic) => Err(of_panic(&*panic).into()),
    };
    match &outcome {
        Ok(_) => answered(200),
        Err(error) => {
            answered(500);
            tracing::error!(cause = %chain(&**error), "the invocation failed");
        }
    }
    outcome
}

/// Whether Lambda had this sandbox ready before anybody asked.
fn is_provisioned() -> bool {
    env::var("AWS_LAMBDA_INITIALIZATION_TYPE").is_ok_and(|how| how == "provisioned-concurrency")
}
