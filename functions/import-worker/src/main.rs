//! Invoked by the import queue: embeds and stores the documents that its messages refer to.

mod files;

use std::{process::ExitCode, sync::Arc, time::Instant};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use bulk_imports::{Delivery, ImportConfig, Imports, Verdict, Worker};
use lambda_runtime::{Error, LambdaEvent, Runtime, service_fn};
use retrieval::IngestState;
use shared::{State as _, time_left};
use telemetry::{self, Telemetry};

fn main() -> Result<ExitCode, Error> {
    // A child of this function reads a file: see `files`.
    match extract::serve_child() {
        Some(status) => Ok(status),
        None => run().map(|()| ExitCode::SUCCESS),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run() -> Result<(), Error> {
    let telemetry = Telemetry::start("import-worker")?;
    let (state, imports) = start()
        .await
        .inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let last = state.clone();
    // Unfinished work is delivered again when its lease expires.
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        last.database.close().await;
    })
    .await;
    let handle = service_fn(move |event| {
        telemetry::outcome(handle(state.clone(), Arc::clone(&imports), event))
    });
    telemetry.run(Runtime::new(handle)).await
}

async fn start() -> Result<(IngestState, Arc<Imports>), Error> {
    let state = IngestState::for_all_tenants("import-worker")?;
    let imports = Imports::new(ImportConfig::from_env()?)?;
    state.warm().await?;
    Ok((state, Arc::new(imports)))
}

/// Reports the messages to deliver again; SQS deletes the others.
async fn handle(
    state: IngestState,
    imports: Arc<Imports>,
    event: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let (records, deadline) = (
        event.payload.records,
        Instant::now() + time_left(&event.context),
    );
    let deliveries: Vec<Delivery> = records.iter().map(delivery).collect();
    let worker = Worker {
        name: &event.context.request_id,
        database: &state.database,
        imports: &imports,
        recipe: state.embedder.manifest().recipe(),
        embed: &state.embedder.embed(),
        files: files::READER,
    };
    let work = bulk_imports::work(&worker, &deliveries, deadline);
    let verdicts = database::within(deadline, work).await;
    let mut response = SqsBatchResponse::default();
    for (record, verdict) in records.into_iter().zip(verdicts) {
        if verdict == Verdict::Retry {
            response.add_failure(record.message_id.unwrap_or_default());
        }
    }
    Ok(response)
}

fn delivery(record: &SqsMessage) -> Delivery {
    let receives = record.attributes.get("ApproximateReceiveCount");
    Delivery {
        body: record.body.clone().unwrap_or_default(),
        receipt: record.receipt_handle.clone().unwrap_or_default(),
        receives: receives
            .and_then(|receives| receives.parse().ok())
            .unwrap_or(1),
    }
}
