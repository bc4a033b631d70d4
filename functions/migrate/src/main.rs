//! Invoked at deploy: brings the database schema up to date. No other function may change it.

mod deployment;

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::{Value, to_value};
use shared::{
    config::{DatabaseConfig, ModelConfig},
    database::Database,
    embedder::Manifest,
    migrations,
};

use crate::deployment::Deployment;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let database = Arc::new(Database::new(&DatabaseConfig::from_env("migrate")?)?);
    let model = ModelConfig::from_env()?;
    let manifest = Manifest::read(&model.folder)?;
    let last = Arc::clone(&database);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move { last.close().await })
        .await;
    let (database, model, manifest) = (&*database, &model, &manifest);
    lambda_runtime::run(service_fn(move |event| {
        handle(database, model, manifest, event)
    }))
    .await
}

/// CloudFormation is answered at the URL that it sends, everybody else with the report.
async fn handle(
    database: &Database,
    model: &ModelConfig,
    manifest: &Manifest,
    event: LambdaEvent<Value>,
) -> Result<Value, Error> {
    let migration = migrations::migrate(database, manifest);
    match Deployment::of(&event)? {
        Some(deployment) => deployment.answer(model, migration).await,
        None => Ok(to_value(migration.await?)?),
    }
}
