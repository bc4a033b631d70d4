//! SQS and S3 on this machine: moto's server, which keeps everything in memory.
//!
//! Queues and buckets are those of the template, under a prefix, so that several gateways may share a server.

mod call;

use std::{
    fs::File,
    net::Ipv4Addr,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use template::{Queue, Template};
use tokio::{net::TcpStream, time::sleep};

pub use self::call::region;
use crate::{guardian::Guardian, ports::free_port};

/// moto's account id.
const ACCOUNT: &str = "123456789012";

/// The content type of objects whose writer names none.
const OCTETS: &str = "application/octet-stream";

/// How long the server may take to start: a second on an idle machine.
const START_PATIENCE: Duration = Duration::from_mins(1);

/// A running server. It ends when dropped, and with this process however that ends.
#[derive(Debug)]
pub struct Server {
    _guardian: Guardian,
    port: u16,
}

/// The queues and buckets of one gateway.
#[derive(Clone, Debug)]
pub struct Resources {
    /// The server's URL without a trailing slash.
    pub endpoint: String,
    /// The prefix of resource names: lower-case letters, digits and hyphens.
    pub prefix: String,
}

/// Overrides of the template's values, for tests with short times.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overrides {
    /// The queues' visibility timeout.
    pub visibility: Option<Duration>,
    /// Receives before a message moves to the dead-letter queue.
    pub max_receives: Option<u64>,
}

impl Server {
    /// A free port of 127.0.0.1 for [`Server::start`].
    ///
    /// # Errors
    /// When none is free.
    pub fn port() -> anyhow::Result<u16> {
        free_port()
    }

    /// Starts the server of `install` ([`assets::Cache::moto`]) on `port` and waits until it responds.
    ///
    /// # Errors
    /// Its output if it exited instead.
    pub async fn start(install: &Path, port: u16) -> anyhow::Result<Self> {
        let log = tempfile::tempfile().context("cannot make a temporary file")?;
        let mut shell = Command::new("/bin/sh");
        shell
            .env("PYTHONPATH", install)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir("/");
        let arguments = [
            "-m",
            "moto.server",
            "-H",
            "127.0.0.1",
            "-p",
            &port.to_string(),
        ]
        .map(str::to_owned);
        let mut guardian = Guardian::run(
            shell,
            "TERM",
            Path::new("python3"),
            &arguments,
            log.try_clone()?,
        )
        .context("cannot run /bin/sh to start moto")?;
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .is_err()
        {
            if guardian.exit_status()?.is_some() {
                anyhow::bail!("moto exited: {}", last_lines(log));
            }
            ensure!(
                Instant::now() < deadline,
                "moto did not respond in {START_PATIENCE:?}: {}",
                last_lines(log)
            );
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Self {
            _guardian: guardian,
            port,
        })
    }

    /// Its URL without a trailing slash.
    #[must_use]
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }
}

/// The URL of a server on `port`.
#[must_use]
pub fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Resources {
    /// The URL of the queue that the template calls `resource`.
    #[must_use]
    pub fn queue_url(&self, resource: &str) -> String {
        format!("{}/{ACCOUNT}/{}", self.endpoint, self.name(resource))
    }

    /// The name of the bucket that the template calls `resource`.
    #[must_use]
    pub fn bucket(&self, resource: &str) -> String {
        self.name(resource).to_lowercase()
    }

    /// AWS' environment variables that direct a function here. Existing AWS credentials are kept, because other
    /// services are still requested from AWS.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL_SQS".to_owned(), self.endpoint.clone()),
            ("AWS_ENDPOINT_URL_S3".to_owned(), self.endpoint.clone()),
        ];
        if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                variables.push((name.to_owned(), "local".to_owned()));
            }
        }
        variables
    }

    /// Creates the queues and buckets of `template`.
    ///
    /// # Errors
    /// When the template cannot be read, or the server rejects a request.
    pub async fn create(&self, template: &Path, overrides: Overrides) -> anyhow::Result<()> {
        let template = Template::read(template)?;
        // A dead-letter queue must exist before the queue that uses it.
        let (redriven, last): (Vec<_>, Vec<_>) = template
            .queues
            .iter()
            .partition(|queue| queue.redrive.is_some());
        for queue in last.into_iter().chain(redriven) {
            self.create_queue(queue, overrides).await?;
        }
        for bucket in &template.buckets {
            call::put(&self.endpoint, &self.bucket(bucket), Vec::new(), OCTETS).await?;
        }
        Ok(())
    }

    /// Sends a message to the queue that the template calls `resource`.
    ///
    /// # Errors
    /// When the server rejects the request.
    pub async fn send(&self, resource: &str, body: &str) -> anyhow::Result<()> {
        let body = json!({ "QueueUrl": self.queue_url(resource), "MessageBody": body });
        self.sqs("SendMessage", &body).await.map(drop)
    }

    /// Writes an object to the bucket that the template calls `resource`, and returns its URL,
    /// `s3://bucket/key`.
    ///
    /// # Errors
    /// When the server rejects the request.
    pub async fn put(&self, resource: &str, key: &str, content: Vec<u8>) -> anyhow::Result<String> {
        self.put_as(resource, key, content, OCTETS).await
    }

    /// The same with a content type.
    ///
    /// # Errors
    /// When the server rejects the request.
    pub async fn put_as(
        &self,
        resource: &str,
        key: &str,
        content: Vec<u8>,
        content_type: &str,
    ) -> anyhow::Result<String> {
        let path = format!("{}/{key}", self.bucket(resource));
        call::put(&self.endpoint, &path, content, content_type).await?;
        Ok(format!("s3://{path}"))
    }

    /// Receives up to `most` messages from the queue that the template calls `resource`; they are invisible for
    /// its visibility timeout.
    ///
    /// # Errors
    /// When the server is unavailable or rejects the request.
    pub async fn receive(&self, resource: &str, most: u64) -> anyhow::Result<Vec<Value>> {
        let body = json!({
            "QueueUrl": self.queue_url(resource),
            "MaxNumberOfMessages": most.min(10),
            "AttributeNames": ["All"],
        });
        let mut answer = self.sqs("ReceiveMessage", &body).await?;
        Ok(match answer["Messages"].take() {
            Value::Array(messages) => messages,
            _ => Vec::new(),
        })
    }

    /// The number of messages in the queue that the template calls `resource`, invisible ones included.
    ///
    /// # Errors
    /// When the server is unavailable or rejects the request.
    pub async fn waiting(&self, resource: &str) -> anyhow::Result<u64> {
        let body = json!({ "QueueUrl": self.queue_url(resource), "AttributeNames": ["All"] });
        let answer = self.sqs("GetQueueAttributes", &body).await?;
        let number = |name: &str| answer["Attributes"][name].as_str()?.parse::<u64>().ok();
        let kinds = ["", "NotVisible", "Delayed"];
        let numbers = kinds.map(|kind| number(&format!("ApproximateNumberOfMessages{kind}")));
        let sum: Option<u64> = numbers.into_iter().sum();
        sum.context("the queue's attributes have no message counts")
    }

    /// Deletes received messages by their receipt handles.
    pub async fn delete(&self, resource: &str, receipts: &[&str]) -> anyhow::Result<()> {
        let entries: Vec<Value> = (0..)
            .zip(receipts)
            .map(
                |(id, receipt): (u32, _)| json!({ "Id": id.to_string(), "ReceiptHandle": receipt }),
            )
            .collect();
        let body = json!({ "QueueUrl": self.queue_url(resource), "Entries": entries });
        self.sqs("DeleteMessageBatch", &body).await.map(drop)
    }

    async fn create_queue(&self, queue: &Queue, overrides: Overrides) -> anyhow::Result<()> {
        let visibility = overrides.visibility.unwrap_or(queue.visibility).as_secs();
        let mut attributes = json!({ "VisibilityTimeout": visibility.to_string() });
        if let Some((target, max_receives)) = &queue.redrive {
            let policy = json!({
                "deadLetterTargetArn":
                    format!("arn:aws:sqs:{}:{ACCOUNT}:{}", region(), self.name(target)),
                "maxReceiveCount": overrides.max_receives.unwrap_or(*max_receives),
            });
            attributes["RedrivePolicy"] = policy.to_string().into();
        }
        let body = json!({ "QueueName": self.name(&queue.resource), "Attributes": attributes });
        self.sqs("CreateQueue", &body).await.map(drop)
    }

    async fn sqs(&self, action: &str, body: &Value) -> anyhow::Result<Value> {
        call::json(&self.endpoint, &format!("AmazonSQS.{action}"), body).await
    }

    fn name(&self, resource: &str) -> String {
        format!("{}{resource}", self.prefix)
    }
}

fn last_lines(mut log: File) -> String {
    use std::io::{Read as _, Seek as _};
    let mut text = String::new();
    // An unreadable log is shown as empty.
    let _ = log.rewind().and_then(|()| log.read_to_string(&mut text));
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
