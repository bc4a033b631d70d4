//! Invoked at deploy: brings the database schema up to date. No other function may change it.

use std::sync::Arc;

use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use serde_json::Value;
use shared::{
    config::{DatabaseConfig, ModelConfig},
    database::{Database, DatabaseError},
    embedder::Manifest,
    migrations::{self, Report},
    telemetry::{self, Telemetry},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("migrate")?;
    let database = Arc::new(Database::new(&DatabaseConfig::from_env("migrate")?)?);
    let manifest = Arc::new(Manifest::read(&ModelConfig::from_env()?.folder)?);
    let last = Arc::clone(&database);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move { last.close().await })
        .await;
    let handle = service_fn(move |_event: LambdaEvent<Value>| {
        telemetry::outcome(handle(Arc::clone(&database), Arc::clone(&manifest)))
    });
    telemetry.run(Runtime::new(handle)).await
}

async fn handle(database: Arc<Database>, manifest: Arc<Manifest>) -> Result<Report, DatabaseError> {
    migrations::migrate(&database, &manifest).await
}
