//! API Gateway (HTTP API) and Lambda on a laptop: every route of the SAM template, answered by the real
//! function binaries through the real Lambda Runtime API.
//!
//! A request travels `serve` (a connection) → `requests` (route, body, event) → `pool` (a sandbox for it)
//! → `runtime_api` (the sandbox fetches the event and posts the answer) → `response` or `stream` (HTTP again).
//! `sandbox` starts, watches and ends the process behind it. A message of a queue comes from `queue` to `pool`.
//!
//! Where this gateway answers otherwise than AWS, it does so to tell a developer more: see `problem`.

pub mod binaries;
mod event;
mod invocation;
mod log;
mod origin;
mod pool;
mod problem;
mod queue;
mod refusal;
mod requests;
mod response;
mod runtime_api;
mod sandbox;
mod sandboxes;
mod serve;
mod stream;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use serde_json::Value;
use servers::aws::Resources;
use template::{Function, Routes, Template};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

pub use template::Route;

pub use self::{invocation::FunctionError, log::Logs, origin::Origin};
use self::{
    invocation::Outcome,
    log::Log,
    origin::Allowed,
    pool::{Pool, Settings},
    requests::Front,
};

/// How long [`Gateway::stop`] waits for clients to read their last answers before it cuts them off. It
/// is longer than a sandbox may take to end.
const STOP_LIMIT: Duration = Duration::from_secs(4);

/// The usual limit on a request that stalls: that of API Gateway on a whole integration, 30 seconds.
pub const STALL: Duration = Duration::from_secs(30);

/// What a gateway serves, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// The SAM template, the one list of routes and functions.
    pub template: PathBuf,
    /// The folder with the executables, each `<Binary>` as cargo names it or `<Resource>/bootstrap` as
    /// `sam build` does.
    pub binaries: PathBuf,
    /// Environment variables of every sandbox, on top of the gateway's own environment and of what
    /// Lambda sets.
    pub environment: Vec<(String, String)>,
    /// Where to listen; port 0 takes any free port.
    pub address: SocketAddr,
    /// Web pages of other machines that may send requests, besides those of this machine.
    pub allow_origins: Vec<Origin>,
    /// How long a request may stall before it is given up; [`STALL`] is usual.
    pub stall: Duration,
    /// The most sandboxes one function may have at once; at least 1.
    pub max_sandboxes: usize,
    /// How long a sandbox may be idle before it is ended.
    pub idle: Duration,
    /// Where the output of the sandboxes and the gateway's own messages go.
    pub logs: Logs,
    /// Where the template's queues are; without them no function is invoked by a queue. They need not be
    /// there yet.
    pub resources: Option<Resources>,
}

/// What a function returned to [`Gateway::invoke`].
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    /// The returned JSON. The body of a streamed response is a JSON string.
    pub payload: Value,
}

/// A running gateway. Dropping it ends its sandboxes too, but only [`Gateway::stop`] waits for that.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    front: Arc<Front>,
    /// Every sandbox and every connection watches this; they end when it is sent to or dropped.
    stop: watch::Sender<()>,
    /// The tasks that accept connections and poll queues; dropping them closes the port and all connections.
    server: JoinSet<()>,
}

impl Gateway {
    /// Reads the template, finds the binaries and listens. No sandbox is started before its first request.
    ///
    /// # Errors
    /// An unreadable template, a missing binary, or an address that is taken.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let template = Template::read(&options.template)?;
        let log = Log::open(&options.logs)?;
        let listener = TcpListener::bind(options.address).await.with_context(|| {
            format!(
                "cannot listen on {}: choose another port, or 0 for any",
                options.address
            )
        })?;
        let address = listener
            .local_addr()
            .context("the listener has no address")?;

        let (stop, stopped) = watch::channel(());
        let pools = pools(&template, &options, &log, &stopped)?;
        let front = Arc::new(Front {
            routes: Routes::new(template.routes),
            pools,
            allowed: Allowed {
                origins: options.allow_origins,
                address: Some(address.ip()).filter(|ip| !ip.is_unspecified()),
            },
            stall: options.stall,
        });

        let mut server = JoinSet::new();
        if let Some(resources) = &options.resources {
            for pool in &front.pools {
                poll(
                    &mut server,
                    pool,
                    resources,
                    options.max_sandboxes,
                    &stopped,
                );
            }
        }
        let answering = Arc::clone(&front);
        let answer = move |request, peer: SocketAddr| {
            requests::answer(Arc::clone(&answering), request, peer)
        };
        server.spawn(serve::serve(listener, Some(options.stall), answer, stopped));
        Ok(Self {
            address,
            front,
            stop,
            server,
        })
    }

    /// The address to send requests to, such as `http://127.0.0.1:8080`, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> String {
        let unspecified = self.address.ip().is_unspecified();
        let ip = if unspecified {
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        } else {
            self.address.ip()
        };
        format!("http://{}", SocketAddr::new(ip, self.address.port()))
    }

    /// The routes of the template, most specific first.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.front.routes.all()
    }

    /// Sends a raw event through a sandbox, for a function named by its binary or its template resource.
    ///
    /// # Errors
    /// [`FunctionError`] (to be found by `downcast_ref`) if the function failed, died, missed its deadline
    /// or had no sandbox free; another error if no function has that name.
    pub async fn invoke(&self, function: &str, event: Value) -> anyhow::Result<Invocation> {
        let pool = self.front.pool(function).with_context(|| {
            let names: Vec<_> = self
                .front
                .pools
                .iter()
                .map(|pool| pool.function().binary.as_str())
                .collect();
            format!(
                "no function is named `{function}`; the template has {}",
                names.join(", ")
            )
        })?;
        let event = serde_json::to_vec(&event).context("the event is not JSON")?;
        let payload = match pool.invoke(requests::request_id(), event.into()).await {
            Outcome::Response(payload) => serde_json::from_slice(&payload)
                .with_context(|| format!("function `{function}` did not answer with JSON"))?,
            Outcome::Stream(response) => {
                Value::String(stream::read_to_end(response.into_body()).await?)
            }
            Outcome::Failed(error) => return Err(error.into()),
        };
        Ok(Invocation { payload })
    }

    /// The process ids of a function's sandboxes, for tests that harm them. Empty for an unknown function.
    #[must_use]
    pub fn sandboxes(&self, function: &str) -> Vec<u32> {
        self.front
            .pool(function)
            .map(|pool| pool.process_ids())
            .unwrap_or_default()
    }

    /// Refuses new requests, ends every sandbox (SIGTERM, then SIGKILL after two seconds) and closes the
    /// port. When it returns, no process of this gateway is left.
    pub async fn stop(mut self) {
        for pool in &self.front.pools {
            pool.close();
        }
        // Whoever watches has a receiver and drops it when it has ended; a client that does not read its
        // last answer must not hold up the end.
        self.stop.send_replace(());
        let _ = tokio::time::timeout(STOP_LIMIT, self.stop.closed()).await;
        self.server.shutdown().await;
    }
}

/// Invokes a function with the messages of its queue, if it has one.
fn poll(
    tasks: &mut JoinSet<()>,
    pool: &Arc<Pool>,
    resources: &Resources,
    sandboxes: usize,
    stopped: &watch::Receiver<()>,
) {
    let Some(source) = pool.function().source.clone() else {
        return;
    };
    let most = source.most.and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(sandboxes).min(sandboxes).max(1);
    tasks.spawn(queue::poll(
        source,
        resources.clone(),
        Arc::clone(pool),
        most,
        stopped.clone(),
    ));
}

fn pools(
    template: &Template,
    options: &Options,
    log: &Log,
    stopped: &watch::Receiver<()>,
) -> anyhow::Result<Vec<Arc<Pool>>> {
    let pool = |function: &Function| {
        let settings = Settings {
            executable: executable(&options.binaries, function)?,
            environment: options.environment.clone(),
            max_sandboxes: options.max_sandboxes.max(1),
            idle: options.idle,
            log: log.clone(),
        };
        Ok(Arc::new(Pool::new(
            function.clone(),
            settings,
            stopped.clone(),
        )))
    };
    template.functions.iter().map(pool).collect()
}

/// Finds a function's executable in either layout.
fn executable(binaries: &Path, function: &Function) -> anyhow::Result<PathBuf> {
    let cargo = binaries.join(&function.binary);
    let sam = binaries.join(&function.resource).join("bootstrap");
    let found = [&cargo, &sam]
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            let (name, cargo, sam) = (&function.binary, cargo.display(), sam.display());
            format!(
                "function `{name}` has no binary: neither {cargo} nor {sam} exists; build it first"
            )
        })?;
    std::path::absolute(found).with_context(|| format!("cannot resolve {}", found.display()))
}
