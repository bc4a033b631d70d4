//! What stands around each invocation.

use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
};

use lambda_runtime::{LambdaInvocation, Service};

use super::{Record, Telemetry};

/// A service that tells of each invocation when the one inside has handed its answer over.
pub(super) struct Watch<S> {
    inner: S,
    telemetry: Arc<Telemetry>,
}

impl<S> Watch<S> {
    pub(super) fn new(inner: S, telemetry: Arc<Telemetry>) -> Self {
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
        let record = Record::begin(&telemetry, &invocation.context, first);
        let deadline = invocation.context.deadline();
        let answer = record.within(|| self.inner.call(invocation));
        Box::pin(async move {
            let outcome = record.around(answer).await;
            telemetry.format.write(telemetry.function, &record.lock());
            if let Some(exporter) = &telemetry.exporter {
                let spans = exporter.spans(&telemetry, &record.lock());
                record.around(exporter.export(spans, deadline)).await;
            }
            outcome
        })
    }
}
