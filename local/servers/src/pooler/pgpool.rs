//! pgpool-II before a server.

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::task::spawn_blocking;
use url::Url;

use super::{listening, packages, through};
use crate::{account::Account, ports::free_port, skip::skipped};

/// The release of Debian whose package is taken: pgpool-II 4.3.
const RELEASE: &str = "bookworm";

/// A running pgpool-II on a port of 127.0.0.1; it ends, with all its processes, when this is dropped.
pub struct Pgpool {
    process: Child,
    port: u16,
    server: Url,
    /// Its settings, the users, and its sockets.
    _folder: TempDir,
}

/// How a pgpool-II is set up.
#[derive(Clone, Copy, Debug)]
pub struct PgpoolSettings {
    /// Clients at a time: `num_init_children`.
    pub clients: usize,
    /// Seconds after which it ends a client that says nothing; 0 for never.
    pub client_idle_limit: u32,
}

impl Pgpool {
    /// Starts it before the server of `server_url`. `None`, with the reason printed, where its package is
    /// not to be had.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn before(server_url: &str, settings: PgpoolSettings) -> Result<Option<Self>> {
        let unpack = || packages::unpack("pgpool2", RELEASE);
        let unpacked = match spawn_blocking(unpack).await.context("unpacking panicked")? {
            Ok(unpacked) => unpacked,
            Err(error) => {
                skipped(&format!("there is no pgpool-II: {error:#}"))?;
                return Ok(None);
            }
        };
        let server = Url::parse(server_url).context("the server's URL")?;
        let port = free_port()?;
        let folder = write_settings(&server, port, settings)?;
        let mut command = unpacked.command(&unpacked.path("usr/sbin/pgpool"));
        command
            .args(["-n", "-f"])
            .arg(folder.path().join("pgpool.conf"))
            .arg("-F")
            .arg(folder.path().join("pcp.conf"))
            .arg("-a")
            .arg(folder.path().join("pool_hba.conf"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.path().join("log")).context("making pgpool-II's log")?);
        Account::current().enter(&mut command);
        let pgpool = Self {
            process: command.spawn().context("starting pgpool-II")?,
            port,
            server,
            _folder: folder,
        };
        listening(port, "pgpool-II").await?;
        Ok(Some(pgpool))
    }

    /// The URL of the server's database through it, without `sslmode`.
    ///
    /// # Errors
    /// When the server's URL has no host.
    pub fn url(&self) -> Result<String> {
        through(&self.server, self.port)
    }
}

impl Drop for Pgpool {
    fn drop(&mut self) {
        // Fast shutdown: it ends its children; killed, it would leave them behind.
        let _ = kill_process(Pid::from_child(&self.process), Signal::INT);
        let _ = self.process.wait();
    }
}

fn write_settings(server: &Url, port: u16, settings: PgpoolSettings) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("making a folder for pgpool-II")?;
    let path = folder.path().display();
    let PgpoolSettings {
        clients,
        client_idle_limit,
    } = settings;
    let text = format!(
        "backend_clustering_mode = 'raw'\n\
         backend_hostname0 = '{host}'\nbackend_port0 = {server_port}\nbackend_weight0 = 1\n\
         backend_flag0 = 'DISALLOW_TO_FAILOVER'\n\
         listen_addresses = '{listen}'\nport = {port}\nsocket_dir = '{path}'\n\
         pcp_listen_addresses = ''\npcp_port = {pcp}\npcp_socket_dir = '{path}'\n\
         wd_ipc_socket_dir = '{path}'\npid_file_name = '{path}/pid'\nlogdir = '{path}'\n\
         enable_pool_hba = on\npool_passwd = '{path}/pool_passwd'\n\
         num_init_children = {clients}\nmax_pool = 1\nclient_idle_limit = {client_idle_limit}\n",
        host = server.host_str().context("the server's URL has a host")?,
        server_port = server.port().unwrap_or(5432),
        listen = Ipv4Addr::LOCALHOST,
        pcp = free_port()?,
    );
    let user = format!(
        "{}:TEXT{}\n",
        server.username(),
        server.password().unwrap_or_default()
    );
    let files = [
        ("pgpool.conf", text.as_str()),
        ("pcp.conf", ""),
        ("pool_hba.conf", "host all all 127.0.0.1/32 scram-sha-256\n"),
        ("pool_passwd", &user),
    ];
    let account = Account::current();
    for (name, content) in files {
        write(&folder.path().join(name), content, account)?;
    }
    account.own(folder.path())?;
    Ok(folder)
}

fn write(file: &Path, content: &str, account: Account) -> Result<()> {
    fs::write(file, content).with_context(|| format!("writing {}", file.display()))?;
    account.own(file)
}
