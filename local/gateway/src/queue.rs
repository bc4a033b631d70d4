//! What Lambda's event source mapping does: it takes messages off a queue, invokes the function with a
//! batch of them, and deletes those that the function does not name as failed.
//! <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use servers::aws::{Resources, region};
use template::EventSource;
use tokio::{sync::watch, task::JoinSet, time::sleep};

use super::{invocation::Outcome, pool::Pool, requests};

/// How long an empty queue is left alone, and one that does not answer.
const EMPTY: Duration = Duration::from_millis(250);
const AWAY: Duration = Duration::from_secs(1);

/// Polls the queue of `source` for `pool` until `stop` is sent to or dropped, with `most` invocations at a
/// time.
pub(super) async fn poll(
    source: EventSource,
    resources: Resources,
    pool: Arc<Pool>,
    most: usize,
    mut stop: watch::Receiver<()>,
) {
    let mut running = JoinSet::new();
    let mut pause = Duration::ZERO;
    loop {
        let is_free = running.len() < most;
        tokio::select! {
            _ = stop.changed() => return,
            Some(_) = running.join_next() => {}
            () = sleep(pause), if is_free => {
                let received = resources.receive(&source.queue, source.batch).await;
                pause = match received {
                    Err(_) => AWAY,
                    Ok(messages) if messages.is_empty() => EMPTY,
                    Ok(messages) => {
                        let (source, resources) = (source.clone(), resources.clone());
                        running.spawn(deliver(source, resources, Arc::clone(&pool), messages));
                        Duration::ZERO
                    }
                };
            }
        }
    }
}

/// Invokes the function with messages. Those that it does not settle come back by themselves.
async fn deliver(source: EventSource, resources: Resources, pool: Arc<Pool>, messages: Vec<Value>) {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| record(&source, message))
        .collect();
    let event = json!({ "Records": records }).to_string();
    let Outcome::Response(payload) = pool.invoke(requests::request_id(), event.into()).await else {
        return;
    };
    let Some(failed) = failures(&source, &payload) else {
        return;
    };
    let text = |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
    let settled: Vec<String> = messages
        .iter()
        .filter(|message| !failed.contains(&text(message, "MessageId")))
        .map(|message| text(message, "ReceiptHandle"))
        .collect();
    let receipts: Vec<&str> = settled.iter().map(String::as_str).collect();
    if !receipts.is_empty() {
        // If it fails, the messages come back, as on AWS.
        let _ = resources.delete(&source.queue, &receipts).await;
    }
}

/// A message as the function gets it.
fn record(source: &EventSource, message: &Value) -> Value {
    json!({
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes").cloned().unwrap_or_else(|| Map::new().into()),
        "messageAttributes": {},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{}:123456789012:{}", region(), source.queue),
        "awsRegion": region(),
    })
}

/// The messages that the function names as failed; none if all of them did.
fn failures(source: &EventSource, payload: &[u8]) -> Option<Vec<String>> {
    if !source.reports_failures {
        return Some(Vec::new());
    }
    let response: Value = serde_json::from_slice(payload).ok()?;
    let failures = match &response["batchItemFailures"] {
        Value::Null => return Some(Vec::new()),
        Value::Array(failures) => failures,
        _ => return None,
    };
    // A failure without a known id means the whole batch.
    failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_settles_what_it_does_not_name() {
        let source = EventSource {
            queue: "Queue".to_owned(),
            batch: 10,
            most: None,
            reports_failures: true,
        };
        let read = |payload: &str| failures(&source, payload.as_bytes());
        assert_eq!(read("null"), Some(Vec::new()));
        assert_eq!(read(r#"{"batchItemFailures":[]}"#), Some(Vec::new()));
        assert_eq!(
            read(r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#),
            Some(vec!["a".to_owned()])
        );
        assert_eq!(read(r#"{"batchItemFailures":[{}]}"#), None);
        assert_eq!(read("no JSON"), None);
    }
}
