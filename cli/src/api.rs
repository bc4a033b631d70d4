//! The API on this machine: the real binaries behind the laptop's gateway.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use gateway::{
    Gateway, Logs, Options, Origin, STALL,
    binaries::{self, Profile},
};

use crate::{
    queue::Place,
    setup::{Setup, threads},
};

/// The functions are built as this command was, so that they share what is compiled already.
pub(crate) const PROFILE: Profile = if cfg!(debug_assertions) {
    Profile::Dev
} else {
    Profile::Release
};

/// Builds the functions and serves them on `port` of this machine, or on any free one if it is 0; with
/// imports if their queue has a place, also to the web pages of `allow_origins`.
pub(crate) async fn serve(
    setup: &Setup,
    port: u16,
    logs: Logs,
    queue: Option<&Place>,
    allow_origins: Vec<Origin>,
) -> anyhow::Result<Gateway> {
    let workspace = binaries::workspace()?;
    let template = workspace.join("template.yaml");
    let built = tokio::task::spawn_blocking(move || binaries::build(&workspace, PROFILE)).await??;
    let mut environment = environment(setup);
    environment.extend(queue.into_iter().flat_map(Place::environment));
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
    })
    .await
}

/// What the template gives the functions on AWS. They have the terminal's environment besides, so the
/// settings of the language model reach them.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let database = &setup.database;
    [
        ("DATABASE_URL", database.url.clone()),
        // The terminal's credentials are not this database's.
        ("DATABASE_CREDENTIALS", String::new()),
        ("DATABASE_POOLER", database.pooler.to_string()),
        (
            "DATABASE_ADDRESS_FAMILY",
            database.address_family.to_string(),
        ),
        ("MODEL_DIR", setup.model.folder.display().to_string()),
        ("ORT_DYLIB_PATH", setup.model.library.display().to_string()),
        ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
        // The functions are told of the memory that they have on AWS, and not given as many cores.
        (
            "EMBEDDING_THREADS",
            env::var("EMBEDDING_THREADS").unwrap_or_else(|_| threads().to_string()),
        ),
        // No CloudWatch reads here, unless the terminal asks for what it would read.
        (
            "METRICS",
            env::var("METRICS").unwrap_or_else(|_| "off".to_owned()),
        ),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
