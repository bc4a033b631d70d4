//! `PgBouncer` before the server that is measured, if it is installed.

use std::{
    env, fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::sleep};
use url::Url;

use super::redirected;

/// Where distributions install it, which need not be on the path.
const PLACE: &str = "/usr/sbin";

/// The user `nobody`: `PgBouncer` refuses to run as root.
const NOBODY: u32 = 65534;

/// Server connections that its clients share.
const SERVERS: usize = 20;

/// A running `PgBouncer`; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    process: Child,
    port: u16,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts it before the server of `url` in a mode, `session` or `transaction`; `None` if there is none.
    pub(crate) async fn before(url: &str, mode: &str) -> Result<Option<Self>> {
        let path = env::var_os("PATH").unwrap_or_default();
        let places = env::split_paths(&path).chain([PathBuf::from(PLACE)]);
        let mut programs = places.map(|place| place.join("pgbouncer"));
        let Some(executable) = programs.find(|program| program.is_file()) else {
            return Ok(None);
        };
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let folder = write_settings(url, mode, port)?;
        let pgbouncer = Self {
            process: spawn(executable, folder.path())?,
            port,
            _folder: folder,
        };
        for _ in 0..500 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_ok()
            {
                return Ok(Some(pgbouncer));
            }
            sleep(Duration::from_millis(20)).await;
        }
        bail!("PgBouncer does not listen")
    }

    /// The URL of a database of that server through it.
    pub(crate) fn url(&self, url: &str) -> Result<String> {
        redirected(url, "127.0.0.1", self.port, "sslmode=disable")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // It has nothing to save; the one error is that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn write_settings(url: &str, mode: &str, port: u16) -> Result<TempDir> {
    let server = Url::parse(url).context("the database's URL")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().display();
    let settings = format!(
        "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {path}/users\npool_mode = {mode}\n\
         default_pool_size = {SERVERS}\nmax_client_conn = 1000\n",
        server.host_str().unwrap_or("127.0.0.1"),
        server.port().unwrap_or(5432),
    );
    let password = server.password().unwrap_or_default();
    let users = format!("\"{}\" \"{password}\"\n", server.username());
    let is_root = fs::metadata(folder.path())?.uid() == 0;
    for (name, content) in [("pgbouncer.ini", settings), ("users", users)] {
        let file = folder.path().join(name);
        fs::write(&file, content)?;
        if is_root {
            chown(&file, Some(NOBODY), Some(NOBODY))?;
        }
    }
    if is_root {
        chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
    }
    Ok(folder)
}

fn spawn(executable: PathBuf, folder: &Path) -> Result<Child> {
    let mut command = Command::new(executable);
    command
        .arg("--quiet")
        .arg(folder.join("pgbouncer.ini"))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if fs::metadata(folder)?.uid() == NOBODY {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.spawn().context("PgBouncer cannot be started")
}
