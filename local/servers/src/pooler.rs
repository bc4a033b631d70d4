//! `PgBouncer` and pgpool-II before a server, to see how Rappel fares behind them.

pub(crate) mod packages;
mod pgpool;
mod program;

use std::{
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};
use url::Url;

pub use self::pgpool::{Pgpool, PgpoolSettings};
use self::program::Program;
use crate::{account::Account, ports::free_port, skip::skipped};

/// How long it may take to listen.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// A running `PgBouncer` on a port of 127.0.0.1; it ends when this is dropped.
pub struct PgBouncer {
    process: Child,
    port: u16,
    server: Url,
    /// Its settings, the users, and the certificates.
    _folder: TempDir,
}

/// How a `PgBouncer` is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `session` or `transaction`.
    pub mode: &'static str,
    /// Server connections for each user and database.
    pub servers: usize,
    /// Connections of clients.
    pub clients: usize,
    /// A certificate and its key in PEM: clients have to use TLS.
    pub certificate: Option<(String, String)>,
}

impl PgBouncer {
    /// Starts it before the server of `server_url`, whichever version there is. `None`, with the reason
    /// printed, where there is none to be had.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn before(server_url: &str, settings: &Settings) -> Result<Option<Self>> {
        let Some(program) = Program::all().await?.first() else {
            skipped("there is no PgBouncer")?;
            return Ok(None);
        };
        Self::start(program, server_url, settings, "")
            .await
            .map(Some)
    }

    /// One of every version that there is, one that remembers its clients' named statements and one that
    /// does not; those that there are not are named in what is printed.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn each(server_url: &str, settings: &Settings) -> Result<Vec<Self>> {
        let mut started = Vec::new();
        for program in Program::all().await? {
            started.push(Self::start(program, server_url, settings, "").await?);
        }
        if started.is_empty() {
            skipped("there is no PgBouncer")?;
        }
        Ok(started)
    }

    /// One that remembers its clients' named statements, as 1.21 and later can. `None`, with the reason
    /// printed, where there is none to be had.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn remembering(server_url: &str, settings: &Settings) -> Result<Option<Self>> {
        let mut programs = Program::all().await?.iter();
        let Some(program) = programs.find(|program| program.remembers()) else {
            skipped("there is no PgBouncer that remembers named statements, 1.21 or later")?;
            return Ok(None);
        };
        let more = "max_prepared_statements = 200\n";
        Self::start(program, server_url, settings, more)
            .await
            .map(Some)
    }

    /// One of every version that there is, which takes the startup options that it would refuse and drops
    /// them, as widespread advice has it.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn dropping_options(server_url: &str, settings: &Settings) -> Result<Vec<Self>> {
        let more = "ignore_startup_parameters = extra_float_digits,options\n";
        let mut started = Vec::new();
        for program in Program::all().await? {
            started.push(Self::start(program, server_url, settings, more).await?);
        }
        if started.is_empty() {
            skipped("there is no PgBouncer")?;
        }
        Ok(started)
    }

    async fn start(
        program: &Program,
        server_url: &str,
        settings: &Settings,
        more: &str,
    ) -> Result<Self> {
        let server = Url::parse(server_url).context("the server's URL")?;
        let port = free_port()?;
        let folder = write_settings(&server, port, settings, more)?;
        let pgbouncer = Self {
            process: spawn(program, folder.path())?,
            port,
            server,
            _folder: folder,
        };
        listening(port, "PgBouncer").await?;
        Ok(pgbouncer)
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the server's database through it, without `sslmode`.
    ///
    /// # Errors
    /// When the server's URL has no host.
    pub fn url(&self) -> Result<String> {
        through(&self.server, self.port)
    }
}

/// `server` as it is reached through `port` of 127.0.0.1, without `sslmode`.
fn through(server: &Url, port: u16) -> Result<String> {
    let mut url = server.clone();
    url.set_host(Some("127.0.0.1"))
        .context("the server's URL has a host")?;
    url.set_port(Some(port))
        .ok()
        .context("the server's URL has a host")?;
    url.set_query(None);
    Ok(url.into())
}

/// Waits until `name` listens on `port`.
async fn listening(port: u16, name: &str) -> Result<()> {
    let deadline = Instant::now() + START_PATIENCE;
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
        .await
        .is_err()
    {
        ensure!(
            Instant::now() < deadline,
            "{name} does not listen after {START_PATIENCE:?}"
        );
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It has nothing to save; the one error is that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_settings(server: &Url, port: u16, settings: &Settings, more: &str) -> Result<TempDir> {
    let folder = tempfile::tempdir().context("making a folder for PgBouncer")?;
    let path = folder.path().display();
    let Settings {
        mode,
        servers,
        clients,
        certificate,
    } = settings;
    let mut text = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {path}/users\npool_mode = {mode}\n\
         default_pool_size = {servers}\nmax_client_conn = {clients}\n{more}",
        server.host_str().context("the server's URL has a host")?,
        server.port().unwrap_or(5432),
    );
    let mut files = vec![(
        "users",
        format!(
            "\"{}\" \"{}\"\n",
            server.username(),
            server.password().unwrap_or_default()
        ),
    )];
    if let Some((certificate, key)) = certificate {
        text.extend([
            "client_tls_sslmode = require\n",
            &format!("client_tls_cert_file = {path}/certificate.pem\n"),
            &format!("client_tls_key_file = {path}/key.pem\n"),
        ]);
        files.push(("certificate.pem", certificate.clone()));
        files.push(("key.pem", key.clone()));
    }
    files.push(("pgbouncer.ini", text));
    let account = Account::current();
    for (name, content) in files {
        let file = folder.path().join(name);
        fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        account.own(&file)?;
    }
    account.own(folder.path())?;
    Ok(folder)
}

fn spawn(program: &Program, folder: &Path) -> Result<Child> {
    let mut command = program.command();
    command
        .arg("--quiet")
        .arg(folder.join("pgbouncer.ini"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Account::current().enter(&mut command);
    command.spawn().context("starting PgBouncer")
}
