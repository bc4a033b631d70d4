//! SQS queues: sends messages, and changes the visibility timeout of received ones.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::{AwsError, Service};

/// The maximum batch size.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const BATCH: usize = 10;

/// The maximum delay of a message.
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    service: Service,
    url: String,
}

impl Queue {
    /// The queue at `url`.
    #[must_use]
    pub fn new(client: Client, region: String, url: String) -> Self {
        let service = Service {
            name: "sqs",
            endpoint_variable: "AWS_ENDPOINT_URL_SQS",
            region,
        };
        Self {
            client,
            service,
            url,
        }
    }

    /// Sends messages, delivered after `delay` at the earliest. On success the queue has all of them; on failure it
    /// may have some.
    pub async fn send(&self, bodies: &[String], delay: Duration) -> Result<(), AwsError> {
        let delay = seconds(delay.min(LONGEST_DELAY));
        for batch in bodies.chunks(BATCH) {
            let entries: Vec<Value> = (0..)
                .zip(batch)
                .map(|(id, body): (u32, _)| json!({ "Id": id.to_string(), "MessageBody": body, "DelaySeconds": delay }))
                .collect();
            self.batch("AmazonSQS.SendMessageBatch", entries).await?;
        }
        Ok(())
    }

    /// Sets the visibility timeout of received messages to `time` from now, overriding the queue's.
    pub async fn hide(&self, receipts: &[String], time: Duration) -> Result<(), AwsError> {
        for batch in receipts.chunks(BATCH) {
            let entries: Vec<Value> = (0..)
                .zip(batch)
                .map(|(id, receipt): (u32, _)| {
                    json!({ "Id": id.to_string(), "ReceiptHandle": receipt, "VisibilityTimeout": seconds(time) })
                })
                .collect();
            self.batch("AmazonSQS.ChangeMessageVisibilityBatch", entries)
                .await?;
        }
        Ok(())
    }

    async fn batch(&self, target: &str, entries: Vec<Value>) -> Result<(), AwsError> {
        let body = json!({ "QueueUrl": self.url, "Entries": entries });
        let request = self.service.call("1.0", target, &body);
        let answer = self
            .service
            .ask(&self.client, &request, super::json)
            .await?;
        match answer["Failed"]
            .as_array()
            .and_then(|failed| failed.first())
        {
            None => Ok(()),
            Some(failed) => Err(AwsError::Refused {
                status: 200,
                kind: failed["Code"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }
}

/// Whole seconds, SQS's resolution, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
