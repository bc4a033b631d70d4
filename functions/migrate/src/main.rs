//! Invoked at deploy: migrates the database schema. No other function changes it.

mod deployment;
mod state;
mod trial;

use std::{env, process::ExitCode, sync::Arc};

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn, tracing};
use serde_json::{Value, to_value};
use telemetry::{self, Telemetry};

use crate::{
    deployment::{Deployment, TIMED_OUT},
    state::{MigrateState, WITHDRAWAL},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Error> {
    if env::args().nth(1).as_deref() == Some(trial::ARGUMENT) {
        return Ok(trial::run());
    }
    let telemetry = Telemetry::start("migrate")?;
    // Other functions exit on an invalid setting. Here a deploy waits for an answer: without one it would run
    // into CloudFormation's time limit, and again when it rolls back.
    let state =
        MigrateState::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"));
    let state = Arc::new(state);
    let last = Arc::clone(&state);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        if let Ok(state) = &*last {
            state.close().await;
        }
    })
    .await;
    let handle = service_fn(move |event| telemetry::outcome(handle(Arc::clone(&state), event)));
    telemetry.run(Runtime::new(handle)).await?;
    Ok(ExitCode::SUCCESS)
}

/// Requests of `CloudFormation` are answered at their URL, other invocations with the report.
async fn handle(
    state: Arc<Result<MigrateState, Error>>,
    event: LambdaEvent<Value>,
) -> Result<Value, Error> {
    let state = (*state).as_ref();
    if let Some(deployment) = Deployment::of(&event)? {
        return deployment.answer(state.ok()).await;
    }
    let state = state.map_err(ToString::to_string)?;
    let time = shared::time_left(&event.context).saturating_sub(2 * WITHDRAWAL);
    let migrated = state.within(time, state.migrate()).await;
    let mut report = to_value(migrated.ok_or(TIMED_OUT)??)?;
    report["index"] = to_value(state.build_index().await?)?;
    Ok(report)
}
