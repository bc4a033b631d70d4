//! A sandbox as on Lambda: a function's process with its own Runtime API, which gets one event at a time. All functions
//! and the peer use it.

mod api;

use std::{
    fs::File,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use hyper::body::Bytes;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use self::api::{Answered, Event, NextRequest, PATIENCE};
use crate::process::{Usage, peak_memory};

/// A function's package and settings.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its name in the report.
    pub(crate) name: String,
    /// The executable.
    pub(crate) command: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its working directory.
    pub(crate) folder: PathBuf,
    /// Its environment, besides what Lambda sets.
    pub(crate) environment: Vec<(String, String)>,
    /// Files, or folders of files, that it reads at its start.
    pub(crate) files: Vec<PathBuf>,
}

/// A running function, ready for its next event.
#[derive(Debug)]
pub(crate) struct Sandbox {
    process: Child,
    /// Time until it requested its first event.
    pub(crate) ready: Duration,
    waiting: Option<oneshot::Sender<Event>>,
    asked: mpsc::UnboundedReceiver<NextRequest>,
    answered: mpsc::UnboundedReceiver<Answered>,
    number: u64,
    log: PathBuf,
    /// Serves the Runtime API until dropped.
    _api: JoinSet<()>,
}

/// A function's response and its latency.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// From sending the event to the last byte of the response.
    pub(crate) took: Duration,
    /// The response payload.
    pub(crate) payload: Bytes,
}

impl Program {
    /// Sets an environment variable.
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it requests its first event. Its output goes to the file `log`.
    pub(crate) async fn start(&self, log: &Path) -> Result<Sandbox> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (asking, asked) = mpsc::unbounded_channel();
        let (answering, answered) = mpsc::unbounded_channel();
        let mut api = JoinSet::new();
        api.spawn(api::serve(listener, asking, answering));
        let output = File::options().create(true).append(true).open(log)?;
        let mut command = Command::new(&self.command);
        command
            .args(&self.arguments)
            .current_dir(&self.folder)
            .env_clear()
            .envs(lambda_environment(&address.to_string()))
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true);
        let start = Instant::now();
        let process = command
            .spawn()
            .with_context(|| format!("cannot start {}", self.command.display()))?;
        let mut sandbox = Sandbox {
            process,
            ready: Duration::ZERO,
            waiting: None,
            asked,
            answered,
            number: 0,
            log: log.to_owned(),
            _api: api,
        };
        let (at, waiting) = sandbox
            .next()
            .await
            .with_context(|| format!("starting {}", self.name))?;
        sandbox.ready = at.saturating_duration_since(start);
        sandbox.waiting = Some(waiting);
        Ok(sandbox)
    }
}

impl Sandbox {
    /// Sends an event and waits for the response.
    pub(crate) async fn invoke(&mut self, payload: Bytes) -> Result<Reply> {
        let waiting = match self.waiting.take() {
            Some(waiting) => waiting,
            None => self.next().await?.1,
        };
        self.number += 1;
        let event = Event {
            id: format!("00000000-0000-4000-8000-{:012x}", self.number),
            payload,
        };
        let start = Instant::now();
        if waiting.send(event).is_err() {
            bail!(
                "the function exited before its event: see {}",
                self.log.display()
            );
        }
        let answered = Self::within(&mut self.process, &self.log, self.answered.recv()).await?;
        let payload = answered
            .outcome
            .map_err(|error| anyhow::anyhow!("the function failed: {error}"))?;
        Ok(Reply {
            took: answered.at.saturating_duration_since(start),
            payload,
        })
    }

    /// Waits until it is ready for its next event, which a response alone does not mean.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if self.waiting.is_none() {
            self.waiting = Some(self.next().await?.1);
        }
        Ok(())
    }

    /// Its peak memory, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64> {
        peak_memory(self.id()?)
    }

    /// Its resource usage so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        Usage::of(self.id()?)
    }

    /// Ends it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.process.kill().await.context("cannot end a sandbox")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> Result<u32> {
        self.process.id().context("the function has exited")
    }

    async fn next(&mut self) -> Result<NextRequest> {
        Self::within(&mut self.process, &self.log, self.asked.recv()).await
    }

    async fn within<T>(
        process: &mut Child,
        log: &Path,
        call: impl Future<Output = Option<T>>,
    ) -> Result<T> {
        tokio::select! {
            called = timeout(PATIENCE, call) => match called {
                Ok(Some(value)) => Ok(value),
                _ => bail!("the function does not respond: see {}", log.display()),
            },
            status = process.wait() => {
                bail!("the function exited ({}): see {}", status?, log.display())
            }
        }
    }
}

/// The environment variables of Lambda that runtimes read.
fn lambda_environment(api: &str) -> Vec<(&'static str, String)> {
    let kept = ["PATH", "HOME", "LANG", "TMPDIR"].into_iter();
    let mut environment: Vec<_> = kept
        .filter_map(|name| Some((name, std::env::var(name).ok()?)))
        .collect();
    environment.extend([
        ("AWS_LAMBDA_RUNTIME_API", api.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", "search".to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769".to_owned()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "WARN".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/search".to_owned()),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
        ("AWS_REGION", "eu-west-1".to_owned()),
        ("AWS_DEFAULT_REGION", "eu-west-1".to_owned()),
        ("_HANDLER", "app.handler".to_owned()),
    ]);
    environment
}
