//! Runs on a schedule: keeps documents equal to the rows of the followed tables, and finishes removals of tenants.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use followed_tables::{Source, SourceState, SyncConfig, Worker};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use retrieval::IngestState;
use serde::Serialize;
use serde_json::Value;
use shared::time_left;
use telemetry::{self, Telemetry, chain};

/// The response to a manual invocation.
#[derive(Debug, Serialize)]
struct SyncResponse {
    /// Keys whose documents now equal their rows.
    settled: u64,
    /// Keys whose rows could not be stored in this run.
    failed: u64,
    /// Whether it ended for lack of time, with work left.
    unfinished: bool,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("sync")?;
    let (state, config) = start().inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let last = state.clone();
    // After the lease, another worker gets the unfinished work.
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        last.database.close().await;
    })
    .await;
    let handle = service_fn(move |event| {
        telemetry::outcome(handle(state.clone(), Arc::clone(&config), event))
    });
    telemetry.run(Runtime::new(handle)).await
}

/// Loads the model only if there is something to embed, which is rare.
fn start() -> Result<(IngestState, Arc<SyncConfig>), Error> {
    let state = IngestState::for_all_tenants("sync")?;
    Ok((state, Arc::new(SyncConfig::from_env()?)))
}

async fn handle(
    state: IngestState,
    config: Arc<SyncConfig>,
    event: LambdaEvent<Value>,
) -> Result<SyncResponse, Error> {
    let deadline = Instant::now() + time_left(&event.context);
    let worker = Worker {
        name: &event.context.request_id,
        database: &state.database,
        recipe: state.embedder.manifest().recipe(),
        embed: &state.embedder.embed(),
        config: &config,
    };
    // Removals that a request did not finish; at most half of the time, so that tables are followed meanwhile.
    let half = Instant::now() + time_left(&event.context) / 2;
    let removals = document_store::continue_removals(&state.database, half);
    // The tables of other tenants do not wait for what keeps a removal, such as a lock.
    if let Err(cause) = database::within(deadline, removals).await {
        tracing::error!(cause = %chain(&cause), "a tenant is not removed yet; the next run tries again");
    }
    let synced = database::within(deadline, followed_tables::work(&worker, deadline)).await?;
    if synced.settled + synced.failed == 0 {
        telemetry::idle();
    }
    report(&synced.sources);
    Ok(SyncResponse {
        settled: synced.settled,
        failed: synced.failed,
        unfinished: synced.unfinished,
    })
}

/// The metrics of alarms, and a line for each source that needs attention.
fn report(sources: &[Source]) {
    /// The last log line of this sandbox for each source.
    static LOGGED: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());
    if sources.is_empty() {
        return;
    }
    let sum = |count: fn(&Source) -> i64| sources.iter().map(count).sum::<i64>() as f64;
    let lag = sources.iter().map(|source| source.lag_seconds);
    telemetry::gauge("pending", "Count", sum(|source| source.pending));
    telemetry::gauge("failed_rows", "Count", sum(|source| source.failed));
    telemetry::gauge("lag", "Seconds", lag.fold(0.0, f64::max));
    let stopped = |source: &&Source| source.state == SourceState::Failed;
    telemetry::gauge(
        "failed_sources",
        "Count",
        sources.iter().filter(stopped).count() as f64,
    );
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    logged.retain(|name, _| {
        sources
            .iter()
            .any(|source| source.name == *name && stopped(&source))
    });
    for source in sources.iter().filter(stopped) {
        let cause = source.failure.as_deref().unwrap_or_default();
        if logged
            .insert(source.name.clone(), cause.to_owned())
            .as_deref()
            != Some(cause)
        {
            tracing::warn!(source = source.name, cause, "a table cannot be followed");
        }
    }
}
