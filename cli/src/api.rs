//! The API on this machine: the function binaries behind the laptop's gateway.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use access::Mode;
use gateway::{
    Gateway, Logs, Options, Origin, STALL,
    binaries::{self, Profile},
};

use crate::{model::threads, queue::QueueConfig, setup::Setup};

/// Functions are built with this command's profile, to reuse what is compiled.
pub(crate) const PROFILE: Profile = if cfg!(debug_assertions) {
    Profile::Dev
} else {
    Profile::Release
};

/// The pause of the worker of followed tables, which `EventBridge` invokes each minute.
const SCHEDULED: Duration = Duration::from_secs(1);

/// Builds the functions and serves them on `port` of this machine, or on a free one for 0. Serves imports if
/// their queue has a place, and web pages of `allow_origins`; authorizes as `authorization` says.
pub(crate) async fn serve(
    setup: &Setup,
    port: u16,
    logs: Logs,
    queue: Option<&QueueConfig>,
    allow_origins: Vec<Origin>,
    authorization: Mode,
) -> anyhow::Result<Gateway> {
    let workspace = binaries::workspace()?;
    let template = workspace.join("template.yaml");
    let built = tokio::task::spawn_blocking(move || binaries::build(&workspace, PROFILE)).await??;
    let mut environment = environment(setup);
    for variable in ["AUTHORIZATION", "CONSOLE_AUTHORIZATION"] {
        environment.push((variable.to_owned(), authorization.to_string()));
    }
    environment.extend(queue.into_iter().flat_map(QueueConfig::environment));
    Gateway::start(Options {
        template,
        binaries: built,
        environment,
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        allow_origins,
        stall: STALL,
        max_sandboxes: 2 * threads(),
        idle: Duration::from_mins(5),
        logs,
        resources: queue.map(|place| place.resources.clone()),
        scheduled: queue.map(|_| SCHEDULED),
    })
    .await
}

/// The environment that the template gives the functions on AWS. They also inherit the terminal's, so settings
/// of the language model reach them.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let database = &setup.database;
    [
        ("DATABASE_URL", database.url.clone()),
        // The terminal's credentials are those of another database.
        ("DATABASE_CREDENTIALS", String::new()),
        ("DATABASE_POOLER", database.pooler.to_string()),
        (
            "DATABASE_ADDRESS_FAMILY",
            database.address_family.to_string(),
        ),
        ("MODEL_DIR", setup.model.folder.display().to_string()),
        ("ORT_DYLIB_PATH", setup.model.library.display().to_string()),
        ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
        // Functions see the memory that they have on AWS, which limits their threads.
        (
            "EMBEDDING_THREADS",
            env::var("EMBEDDING_THREADS").unwrap_or_else(|_| threads().to_string()),
        ),
        ("FOLLOW_TABLES", "on".to_owned()),
        // No CloudWatch here, so no metrics unless the terminal asks for them.
        (
            "METRICS",
            env::var("METRICS").unwrap_or_else(|_| "off".to_owned()),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
