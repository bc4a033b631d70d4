//! Invoked at deploy: brings the database schema up to date. No other function may change it.

mod deployment;

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::{Value, to_value};
use shared::{
    config::{DatabaseConfig, ModelConfig},
    database::Database,
    embedder::Manifest,
    migrations,
    telemetry::{self, Telemetry},
};

use crate::deployment::Deployment;

/// What a sandbox keeps between invocations.
struct State {
    database: Database,
    model: ModelConfig,
    manifest: Manifest,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("migrate")?;
    let model = ModelConfig::from_env()?;
    let state = Arc::new(State {
        database: Database::new(&DatabaseConfig::from_env("migrate")?)?,
        manifest: Manifest::read(&model.folder)?,
        model,
    });
    let last = Arc::clone(&state);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        last.database.close().await;
    })
    .await;
    let handle = service_fn(move |event| telemetry::outcome(handle(Arc::clone(&state), event)));
    telemetry.run(Runtime::new(handle)).await
}

/// `CloudFormation` is answered at the URL that it sends, everybody else with the report.
async fn handle(state: Arc<State>, event: LambdaEvent<Value>) -> Result<Value, Error> {
    let migration = Box::pin(migrations::migrate(&state.database, &state.manifest));
    match Deployment::of(&event)? {
        Some(deployment) => deployment.answer(&state.model, migration).await,
        None => Ok(to_value(migration.await?)?),
    }
}
