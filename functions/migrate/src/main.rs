//! Invoked at deploy: brings the database schema up to date. No other function may change it.

mod deployment;
mod state;
mod trial;

use std::{env, process::ExitCode, sync::Arc};

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn, tracing};
use serde_json::{Value, to_value};
use telemetry::{self, Telemetry};

use crate::{deployment::Deployment, state::State};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode, Error> {
    if env::args().nth(1).as_deref() == Some(trial::ARGUMENT) {
        return Ok(trial::run());
    }
    let telemetry = Telemetry::start("migrate")?;
    // Every other function ends here with a wrong setting. This one is asked by a deploy, which would wait
    // for an answer until its own limit, and then for another one when it takes everything back.
    let state = State::from_env().inspect_err(|error| tracing::error!(%error, "cannot start"));
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

/// `CloudFormation` is answered at the URL that it sends, everybody else with the report.
async fn handle(
    state: Arc<Result<State, Error>>,
    event: LambdaEvent<Value>,
) -> Result<Value, Error> {
    let state = (*state).as_ref();
    if let Some(deployment) = Deployment::of(&event)? {
        return deployment.answer(state.ok()).await;
    }
    let state = state.map_err(ToString::to_string)?;
    let mut report = to_value(state.migrate().await?)?;
    report["index"] = to_value(state.build_index().await?)?;
    Ok(report)
}
