//! Invoked at deploy: brings the database schema up to date. No other function may change it.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde_json::Value;
use shared::{
    config::{DatabaseConfig, ModelConfig},
    database::Database,
    embedder::Manifest,
    migrations::{self, Report},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let database = Arc::new(Database::new(&DatabaseConfig::from_env("migrate")?)?);
    let manifest = Manifest::read(&ModelConfig::from_env()?.folder)?;
    let last = Arc::clone(&database);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move { last.close().await })
        .await;
    let (database, manifest) = (&*database, &manifest);
    lambda_runtime::run(service_fn(move |_event: LambdaEvent<Value>| {
        handle(database, manifest)
    }))
    .await
}

async fn handle(database: &Database, manifest: &Manifest) -> Result<Report, Error> {
    Ok(migrations::migrate(database, manifest).await?)
}
