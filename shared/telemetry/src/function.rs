//! The lifecycle of a function, and the instrumentation of each invocation.

use std::{
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime},
};

use futures_util::FutureExt as _;
use lambda_runtime::{LambdaInvocation, Runtime, Service};
use settings::ConfigError;

use super::{
    cause::{chain, of_panic},
    config::TelemetryConfig,
    line::Format,
    logging,
    record::{Record, answered},
    spans::Exporter,
};

/// Reports a function's invocations, from process start to end.
#[derive(Debug)]
pub struct Telemetry {
    function: &'static str,
    format: Format,
    exporter: Option<Exporter>,
    /// The start of Init, by both clocks.
    began: (SystemTime, Instant),
    /// The duration of Init.
    init: OnceLock<Duration>,
    /// Whether no invocation has arrived yet.
    first: AtomicBool,
}

impl Telemetry {
    /// Starts the log of `function`, which is also its crate's name: the first call of a function.
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

    /// Runs a function until Lambda ends it, and reports each invocation after its response is sent: the caller does
    /// not wait for that, and Lambda freezes the sandbox only after it.
    ///
    /// # Errors
    /// When the Runtime API is unavailable.
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

/// Records the outcome of a non-HTTP invocation as 200 or 500, and logs the error. A panic counts as an error.
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

/// A service that reports each invocation once the inner service has returned its response.
struct Watch<S> {
    inner: S,
    telemetry: Arc<Telemetry>,
}

impl<S> Watch<S> {
    fn new(inner: S, telemetry: Arc<Telemetry>) -> Self {
        Self { inner, telemetry }
    }
}

impl<S> Service<LambdaInvocation> for Watch<S>
where
    S: Service<LambdaInvocation, Response = (), Error = lambda_runtime::Error> + 'static,
{
    type Response = ();
    type Error = lambda_runtime::Error;
    type Future = Pin<Box<dyn Future<Output = Result<(), lambda_runtime::Error>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let telemetry = Arc::clone(&self.telemetry);
        let first = telemetry.first.swap(false, Ordering::Relaxed);
        let init = telemetry.init.get().copied().filter(|_| first);
        let traced = telemetry.exporter.is_some();
        let record = Record::begin(&invocation.context, init, traced);
        let deadline = invocation.context.deadline();
        let answer = record.within(|| self.inner.call(invocation));
        Box::pin(async move {
            let outcome = record.around(answer).await;
            telemetry.format.write(telemetry.function, &record.lock());
            let afterwards = record.lock().afterwards.take();
            if let Some(afterwards) = afterwards {
                record.around(afterwards.0).await;
            }
            if let Some(exporter) = &telemetry.exporter {
                let spans = exporter.spans(telemetry.began.0, &record.lock());
                record.around(exporter.export(spans, deadline)).await;
            }
            outcome
        })
    }
}
