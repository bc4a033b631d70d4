//! `PgBouncer` and pgpool-II in front of a server, to test connections through poolers.

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

/// A running `PgBouncer` on a port of 127.0.0.1; dropping it ends it.
pub struct PgBouncer {
    process: Child,
    port: u16,
    server: Url,
    /// Its configuration, users and certificates.
    _folder: TempDir,
}

/// Settings of a `PgBouncer`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `session` or `transaction`.
    pub mode: &'static str,
    /// Server connections per user and database.
    pub servers: usize,
    /// Client connections.
    pub clients: usize,
    /// A certificate and its key in PEM; set, clients must use TLS.
    pub certificate: Option<(String, String)>,
}

impl PgBouncer {
    /// Starts any version in front of the server of `server_url`. `None` if no version is available; prints the
    /// reason.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn before(server_url: &str, settings: &Settings) -> Result<Option<Self>> {
        let Some(program) = Program::all().await?.first() else {
            skipped("no PgBouncer is available")?;
            return Ok(None);
        };
        Self::start(program, server_url, settings, "")
            .await
            .map(Some)
    }

    /// One of each available version: one that supports prepared statements and one that does not. Prints the
    /// missing ones.
    ///
    /// # Errors
    /// When one does not start.
    pub async fn each(server_url: &str, settings: &Settings) -> Result<Vec<Self>> {
        let mut started = Vec::new();
        for program in Program::all().await? {
            started.push(Self::start(program, server_url, settings, "").await?);
        }
        if started.is_empty() {
            skipped("no PgBouncer is available")?;
        }
        Ok(started)
    }

    /// One that supports prepared statements (1.21 or later). `None` if it is not available; prints the reason.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn remembering(server_url: &str, settings: &Settings) -> Result<Option<Self>> {
        let mut programs = Program::all().await?.iter();
        let Some(program) = programs.find(|program| program.remembers()) else {
            skipped(
                "no PgBouncer with support for prepared statements (1.21 or later) is available",
            )?;
            return Ok(None);
        };
        let more = "max_prepared_statements = 200\n";
        Self::start(program, server_url, settings, more)
            .await
            .map(Some)
    }

    /// One of each available version, which ignores the startup options that it would reject, as commonly
    /// advised.
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
            skipped("no PgBouncer is available")?;
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

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the server's database through the pooler, without `sslmode`.
    ///
    /// # Errors
    /// When the server's URL has no host.
    pub fn url(&self) -> Result<String> {
        through(&self.server, self.port)
    }
}

/// The URL of `server` through `port` of 127.0.0.1, without `sslmode`.
fn through(server: &Url, port: u16) -> Result<String> {
    let mut url = server.clone();
    url.set_host(Some("127.0.0.1"))
        .context("the server's URL has no host")?;
    url.set_port(Some(port))
        .ok()
        .context("the server's URL has no host")?;
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
        // It has nothing to save; an error means that it has exited already.
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
         default_pool_size = {servers}\nmax_client_conn = {clients}\nserver_login_retry = 1\n{more}",
        server.host_str().context("the server's URL has no host")?,
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
