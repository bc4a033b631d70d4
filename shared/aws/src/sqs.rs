//! SQS queues: sends, receives and deletes messages, and changes the visibility timeout of received ones.

use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};

use super::{AwsError, Service};

/// The maximum batch size.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
const BATCH: usize = 10;

/// The maximum delay of a message.
const LONGEST_DELAY: Duration = Duration::from_mins(15);

/// How long a receive waits for a message. Only a receive that waits asks all servers of a queue.
const WAIT: Duration = Duration::from_secs(1);

/// A queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: Client,
    service: Service,
    url: String,
}

/// A received message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its id, the same at each delivery.
    pub id: String,
    /// Its body.
    pub body: String,
    /// The receipt handle of this delivery.
    pub receipt: String,
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

    /// The queue with an ARN such as `arn:aws:sqs:eu-west-3:123456789012:name`; `None` if it is not one of a queue.
    #[must_use]
    pub fn of_arn(client: Client, arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "sqs", region, account, name] = parts[..] else {
            return None;
        };
        let mut queue = Self::new(client, region.to_owned(), String::new());
        queue.url = format!("{}/{account}/{name}", queue.service.endpoint());
        Some(queue)
    }

    /// Another queue of the region.
    #[must_use]
    pub fn beside(&self, url: String) -> Self {
        Self {
            url,
            ..self.clone()
        }
    }

    /// Its name: the end of its URL.
    #[must_use]
    pub fn name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// The URLs of the queues whose dead letters come here.
    pub async fn sources(&self) -> Result<Vec<String>, AwsError> {
        let body = json!({ "QueueUrl": self.url });
        let answer = self.call("AmazonSQS.ListDeadLetterSourceQueues", &body);
        let answer = answer.await?;
        let urls = answer["queueUrls"].as_array().into_iter().flatten();
        Ok(urls
            .filter_map(|url| url.as_str().map(str::to_owned))
            .collect())
    }

    /// Receives up to ten messages, which are invisible to others for the queue's visibility timeout; none if there is none
    /// that is visible.
    pub async fn receive(&self) -> Result<Vec<Received>, AwsError> {
        let body = json!({
            "QueueUrl": self.url,
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": WAIT.as_secs(),
        });
        let answer = self.call("AmazonSQS.ReceiveMessage", &body).await?;
        let messages = answer["Messages"].as_array().into_iter().flatten();
        let text =
            |message: &Value, name: &str| message[name].as_str().unwrap_or_default().to_owned();
        Ok(messages
            .map(|message| Received {
                id: text(message, "MessageId"),
                body: text(message, "Body"),
                receipt: text(message, "ReceiptHandle"),
            })
            .collect())
    }

    /// Deletes received messages by their receipt handles.
    pub async fn delete(&self, receipts: &[String]) -> Result<(), AwsError> {
        for batch in receipts.chunks(BATCH) {
            let entries: Vec<Value> = (0..)
                .zip(batch)
                .map(|(id, receipt): (u32, _)| {
                    json!({ "Id": id.to_string(), "ReceiptHandle": receipt })
                })
                .collect();
            self.batch("AmazonSQS.DeleteMessageBatch", entries).await?;
        }
        Ok(())
    }

    /// About how many messages it has, invisible and delayed ones included. SQS counts with a delay of up to a minute.
    pub async fn about(&self) -> Result<u64, AwsError> {
        let body = json!({ "QueueUrl": self.url, "AttributeNames": ["All"] });
        let answer = self.call("AmazonSQS.GetQueueAttributes", &body).await?;
        let count = |kind: &str| {
            let name = format!("ApproximateNumberOfMessages{kind}");
            let count = answer["Attributes"][&name].as_str();
            count.and_then(|count| count.parse::<u64>().ok())
        };
        let kinds = ["", "NotVisible", "Delayed"];
        Ok(kinds.into_iter().filter_map(count).sum())
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
        let answer = self.call(target, &body).await?;
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

    async fn call(&self, target: &str, body: &Value) -> Result<Value, AwsError> {
        let request = self.service.call("1.0", target, body);
        self.service.ask(&self.client, &request, super::json).await
    }
}

/// Whole seconds, SQS's resolution, rounded up.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
