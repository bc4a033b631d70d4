//! API Gateway (HTTP API) and Lambda on a laptop: serves every route of the SAM template with the real
//! function binaries through the real Lambda Runtime API.
//!
//! A request passes `serve` (connection) → `requests` (route, body, event) → `pool` (choice of a sandbox)
//! → `runtime_api` (the sandbox fetches the event and posts the response) → `response` or `stream` (HTTP).
//! `sandbox` starts, watches and ends a process. Messages of a queue go from `queue` to `pool`.
//!
//! Where this gateway differs from AWS, it gives a developer more information: see `problem`.

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
mod schedule;
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
    requests::Api,
};

/// How long [`Gateway::stop`] waits for clients to read their last responses before it disconnects them:
/// longer than a sandbox may take to exit.
const STOP_LIMIT: Duration = Duration::from_secs(4);

/// The default limit on a stalled request: API Gateway's limit on a whole integration, 30 seconds.
pub const STALL: Duration = Duration::from_secs(30);

/// Settings of a gateway.
#[derive(Debug, Clone)]
pub struct Options {
    /// The SAM template, which lists routes and functions.
    pub template: PathBuf,
    /// The folder of the executables, each `<Binary>` as cargo names it or `<Resource>/bootstrap` as
    /// `sam build` does.
    pub binaries: PathBuf,
    /// Environment variables of every sandbox, in addition to the gateway's own and to those that Lambda
    /// sets.
    pub environment: Vec<(String, String)>,
    /// The address to listen on; port 0 takes any free port.
    pub address: SocketAddr,
    /// Origins of other hosts whose pages may send requests.
    pub allow_origins: Vec<Origin>,
    /// Time without data after which a request is aborted; [`STALL`] is the default.
    pub stall: Duration,
    /// Maximum number of sandboxes per function, at least 1.
    pub max_sandboxes: usize,
    /// Idle time after which a sandbox is ended.
    pub idle: Duration,
    /// Where the sandboxes' output and the gateway's messages go.
    pub logs: Logs,
    /// Where the template's queues are; `None` polls no queue. They need not exist yet.
    pub resources: Option<Resources>,
    /// The pause between two invocations of a function with a schedule, whatever its template says; without it, no schedule
    /// invokes a function.
    pub scheduled: Option<Duration>,
}

/// The result of [`Gateway::invoke`].
#[derive(Debug, Clone, PartialEq)]
pub struct InvokeResponse {
    /// The returned JSON. A streamed body is a JSON string.
    pub payload: Value,
}

/// A running gateway. Dropping it also ends its sandboxes, but only [`Gateway::stop`] waits for that.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    api: Arc<Api>,
    /// Watched by every sandbox and connection; they end when it is sent to or dropped.
    stop: watch::Sender<()>,
    /// Tasks that accept connections and poll queues; dropping them closes the port and all connections.
    server: JoinSet<()>,
}

impl Gateway {
    /// Reads the template, finds the binaries and listens. Sandboxes start on demand.
    ///
    /// # Errors
    /// An unreadable template, a missing binary, or an address in use.
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
        let api = Arc::new(Api {
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
            for pool in &api.pools {
                poll(
                    &mut server,
                    pool,
                    resources,
                    options.max_sandboxes,
                    &stopped,
                );
            }
        }
        if let Some(pause) = options.scheduled {
            for pool in api.pools.iter().filter(|pool| pool.function().scheduled) {
                server.spawn(schedule::invoke(Arc::clone(pool), pause, stopped.clone()));
            }
        }
        let answering = Arc::clone(&api);
        let answer = move |request, peer: SocketAddr| {
            requests::answer(Arc::clone(&answering), request, peer)
        };
        server.spawn(serve::serve(listener, Some(options.stall), answer, stopped));
        Ok(Self {
            address,
            api,
            stop,
            server,
        })
    }

    /// The base URL, such as `http://127.0.0.1:8080`, without a trailing slash.
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

    /// The routes, most specific first.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        self.api.routes.all()
    }

    /// Invokes a function, given by its binary or its template resource, with a raw event.
    ///
    /// # Errors
    /// [`FunctionError`] (see `downcast_ref`) if the function failed, died, missed its deadline or had no free
    /// sandbox; another error if there is no such function.
    pub async fn invoke(&self, function: &str, event: Value) -> anyhow::Result<InvokeResponse> {
        let pool = self.api.pool(function).with_context(|| {
            let names: Vec<_> = self
                .api
                .pools
                .iter()
                .map(|pool| pool.function().binary.as_str())
                .collect();
            format!(
                "the template has no function `{function}`; it has {}",
                names.join(", ")
            )
        })?;
        let event = serde_json::to_vec(&event).context("the event is not JSON")?;
        let payload = match pool.invoke(requests::request_id(), event.into()).await {
            Outcome::Response(payload) => serde_json::from_slice(&payload)
                .with_context(|| format!("function `{function}` did not return JSON"))?,
            Outcome::Stream(response) => {
                Value::String(stream::read_to_end(response.into_body()).await?)
            }
            Outcome::Failed(error) => return Err(error.into()),
        };
        Ok(InvokeResponse { payload })
    }

    /// The process ids of a function's sandboxes, for fault tests. Empty for an unknown function.
    #[must_use]
    pub fn sandboxes(&self, function: &str) -> Vec<u32> {
        self.api
            .pool(function)
            .map(|pool| pool.process_ids())
            .unwrap_or_default()
    }

    /// Refuses new requests, ends every sandbox (SIGTERM, then SIGKILL after two seconds) and closes the
    /// port. When it returns, no process of this gateway is left.
    pub async fn stop(mut self) {
        for pool in &self.api.pools {
            pool.close();
        }
        // Each watcher holds a receiver and drops it when it has ended; a client that does not read its last
        // response must not block that.
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
