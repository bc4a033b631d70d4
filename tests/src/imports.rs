//! Imports through a queue: moto's server with its queue and bucket.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use assets::Cache;
use serde_json::Value;
use servers::aws::{Overrides, Resources, Server, region};
use tempfile::NamedTempFile;
use tokio::{sync::Mutex, task::spawn_blocking};

use crate::{
    Assets,
    command::{Printed, rappel},
    eventually,
};

/// Longer than any import of a story.
pub(crate) const HANG: Duration = Duration::from_mins(4);

/// Logical ids in the template.
const QUEUE: &str = "ImportQueue";
const DEAD_LETTERS: &str = "ImportDeadLetters";
const BUCKET: &str = "ImportBucket";

/// The lease and the number of deliveries: on AWS two minutes, and five.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The lease.
    pub lease: Duration,
    /// The initial visibility timeout of a message.
    pub visibility: Duration,
    /// Deliveries.
    pub max_receives: u64,
    /// The worker's time limit, in seconds.
    pub timeout: u64,
}

/// The queue and bucket of one app.
pub struct Imports {
    resources: Resources,
    pace: Pace,
    /// The template, with the test's timeout.
    template: NamedTempFile,
    _server: Arc<Server>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(6),
            visibility: Duration::from_secs(15),
            max_receives: 3,
            timeout: 900,
        }
    }
}

impl Imports {
    pub(crate) async fn new(pace: Pace) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let server = server().await?;
        let resources = Resources {
            endpoint: server.endpoint(),
            prefix: format!("app-{}-", NEXT.fetch_add(1, Ordering::Relaxed)),
        };
        let overrides = Overrides {
            visibility: Some(pace.visibility),
            max_receives: Some(pace.max_receives),
        };
        let template = Assets::prepared().await?.workspace.join("template.yaml");
        let template = with_timeout(&template, pace.timeout)?;
        resources
            .create(template.path(), overrides)
            .await
            .context("making the queue and the bucket")?;
        Ok(Self {
            resources,
            pace,
            template,
            _server: server,
        })
    }

    /// Puts an object into the bucket and returns its URL.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn put(&self, key: &str, content: impl Into<Vec<u8>>) -> Result<String> {
        self.resources.put(BUCKET, key, content.into()).await
    }

    /// The same with a content type.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn put_as(
        &self,
        key: &str,
        content: impl Into<Vec<u8>>,
        content_type: &str,
    ) -> Result<String> {
        let content = content.into();
        let put = self.resources.put_as(BUCKET, key, content, content_type);
        put.await
    }

    /// The URL of an object of the bucket.
    #[must_use]
    pub fn address(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.resources.bucket(BUCKET))
    }

    /// Sends a message to the queue, like a duplicate delivery.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn send(&self, message: &Value) -> Result<()> {
        self.resources.send(QUEUE, &message.to_string()).await
    }

    /// Sends a message to the dead-letter queue, as if it had been delivered in vain.
    ///
    /// # Errors
    /// When the server rejects it.
    pub async fn give_up(&self, message: &Value) -> Result<()> {
        let body = message.to_string();
        self.resources.send(DEAD_LETTERS, &body).await
    }

    /// Runs `rappel imports redrive` on the dead-letter queue.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub async fn redrive(&self) -> Result<Printed> {
        let url = self.resources.queue_url(DEAD_LETTERS);
        let mut parts = url.rsplit('/');
        let (name, account) = parts.next().zip(parts.next()).context("a queue's URL")?;
        let arn = format!("arn:aws:sqs:{}:{account}:{name}", region());
        let mut command = rappel(None, &["imports", "redrive", "--dead-letters", &arn]).await?;
        Printed::by(command.envs(self.environment())).await
    }

    /// The bodies in the dead-letter queue, once there is one.
    ///
    /// # Errors
    /// When there is none.
    pub async fn dead_letters(&self) -> Result<Vec<Value>> {
        let messages = eventually("a message is in the dead-letter queue", async || {
            let messages = self.resources.receive(DEAD_LETTERS, 10).await?;
            Ok((!messages.is_empty()).then_some(messages))
        })
        .await?;
        let body = |message: &Value| {
            let text = message["Body"].as_str().unwrap_or_default();
            serde_json::from_str(text).context("a message is JSON")
        };
        messages.iter().map(body).collect()
    }

    /// Waits until the queue is empty, invisible messages included.
    ///
    /// # Errors
    /// When it is not empty after a long time.
    pub async fn emptied(&self) -> Result<()> {
        eventually("the queue is empty", async || {
            let waiting = self.resources.waiting(QUEUE).await?;
            Ok((waiting == 0).then_some(()))
        })
        .await
    }

    /// The number of messages in the dead-letter queue.
    ///
    /// # Errors
    /// When the server is unavailable.
    pub async fn given_up(&self) -> Result<u64> {
        self.resources.waiting(DEAD_LETTERS).await
    }

    pub(crate) fn resources(&self) -> Resources {
        self.resources.clone()
    }

    pub(crate) fn template(&self) -> &Path {
        self.template.path()
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let mut variables = self.resources.environment();
        let Pace {
            lease,
            max_receives,
            ..
        } = self.pace;
        for (name, value) in [
            ("IMPORT_QUEUE_URL", self.resources.queue_url(QUEUE)),
            ("IMPORT_BUCKET", self.resources.bucket(BUCKET)),
            ("IMPORT_MAX_RECEIVES", max_receives.to_string()),
            ("IMPORT_LEASE_MS", lease.as_millis().to_string()),
        ] {
            variables.push((name.to_owned(), value));
        }
        variables
    }
}

/// The template with another timeout of the worker.
fn with_timeout(template: &Path, seconds: u64) -> Result<NamedTempFile> {
    const WORKER: &str = "Binary: import-worker\n";
    const TIMEOUT: &str = "Timeout: 900\n";
    let text = fs::read_to_string(template).context("reading the template")?;
    let (before, worker) = text
        .split_once(WORKER)
        .context("the template has no import worker")?;
    ensure!(worker.contains(TIMEOUT), "the worker has {TIMEOUT}");
    let worker = worker.replacen(TIMEOUT, &format!("Timeout: {seconds}\n"), 1);
    let file = NamedTempFile::new().context("making a temporary file")?;
    fs::write(file.path(), [before, WORKER, &worker].concat()).context("writing the template")?;
    Ok(file)
}

/// The server shared by the tests of this process, which own it.
async fn server() -> Result<Arc<Server>> {
    static SHARED: Mutex<Weak<Server>> = Mutex::const_new(Weak::new());
    let mut shared = SHARED.lock().await;
    if let Some(running) = shared.upgrade() {
        return Ok(running);
    }
    let install = spawn_blocking(|| Cache::from_env()?.moto())
        .await?
        .context("preparing moto")?;
    let started = Arc::new(Server::start(&install, Server::port()?).await?);
    *shared = Arc::downgrade(&started);
    Ok(started)
}
