//! Invoked by the queue of imports: embeds and stores the documents that its messages name.

use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::{Context, Error, LambdaEvent, Runtime, service_fn};
use shared::{
    State,
    config::Needs,
    database,
    imports::{self, Delivery, Verdict},
    telemetry::{self, Telemetry},
};

/// Lambda's own limit of an invocation.
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = Telemetry::start("import-worker")?;
    let state = State::from_env("import-worker", Needs::EmbedderAndQueue)
        .inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    state
        .warm()
        .await
        .inspect_err(|error| tracing::error!(%error, "cannot start"))?;
    let last = state.clone();
    // What is being worked on comes back when its lease is over.
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        last.database().close().await;
    })
    .await;
    let handle = service_fn(move |event| telemetry::outcome(handle(state.clone(), event)));
    telemetry.run(Runtime::new(handle)).await
}

/// Says which messages are to be delivered again; the queue forgets the others.
async fn handle(state: State, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
    let imports = state.imports()?;
    let (records, deadline) = (event.payload.records, deadline(&event.context));
    let deliveries: Vec<Delivery> = records.iter().map(delivery).collect();
    let work = imports::work(
        &state,
        imports,
        &event.context.request_id,
        &deliveries,
        deadline,
    );
    let verdicts = database::within(deadline, work).await;
    let mut response = SqsBatchResponse::default();
    for (record, verdict) in records.into_iter().zip(verdicts) {
        if verdict == Verdict::Again {
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

/// When the invocation ends. `cargo lambda watch` gives a deadline in 1970: no limit.
fn deadline(context: &Context) -> Instant {
    let left = context.deadline().duration_since(SystemTime::now());
    Instant::now() + left.unwrap_or(LONGEST_INVOCATION)
}
