//! The API on this machine: the real binaries behind the laptop's gateway.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use local::{
    binaries::{self, Profile},
    gateway::{Gateway, Logs, Options},
};

use crate::setup::{Setup, threads};

/// The functions are built as this command was, so that they share what is compiled already.
pub(crate) const PROFILE: Profile = if cfg!(debug_assertions) {
    Profile::Dev
} else {
    Profile::Release
};

/// Builds the functions and serves them on `port` of this machine, or on any free one if it is 0.
pub(crate) async fn serve(setup: &Setup, port: u16, logs: Logs) -> anyhow::Result<Gateway> {
    let workspace = binaries::workspace()?;
    let template = workspace.join("template.yaml");
    let built = tokio::task::spawn_blocking(move || binaries::build(&workspace, PROFILE)).await??;
    Gateway::start(Options {
        template,
        binaries: built,
        environment: environment(setup),
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        max_sandboxes: 2 * threads(),
        idle: Duration::from_mins(5),
        logs,
    })
    .await
}

/// What the template gives the functions on AWS. They have the terminal's environment besides, so the
/// settings of the language model reach them.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let database = &setup.database;
    [
        ("DATABASE_URL", database.url.clone()),
        ("DATABASE_POOLER", database.pooler.to_string()),
        (
            "DATABASE_ADDRESS_FAMILY",
            database.address_family.to_string(),
        ),
        ("MODEL_DIR", setup.model.folder.display().to_string()),
        ("ORT_DYLIB_PATH", setup.model.library.display().to_string()),
        ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}
