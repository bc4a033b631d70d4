//! A data folder on disk: created, locked, served.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::time::sleep;

use super::settings::{self, Purpose};
use crate::account::Account;
use crate::guardian::Guardian;

/// How long a server may take to accept connections: WAL replay of a killed bulk load takes a minute at
/// most.
pub(super) const START_PATIENCE: Duration = Duration::from_mins(2);

/// A data folder, its neighbours `DATA.log` and `DATA.password`, and the programs to serve it.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) install: PathBuf,
    pub(super) data: PathBuf,
    pub(super) purpose: Purpose,
    account: Account,
}

/// The contents of `postmaster.pid`.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub(super) process: i32,
    pub(super) port: u16,
    /// Whether it accepts connections, as opposed to starting or stopping.
    pub(super) ready: bool,
}

impl Cluster {
    /// Creates missing folders, but no database yet.
    pub(super) fn new(install: &Path, data: &Path, purpose: Purpose) -> anyhow::Result<Self> {
        let account = Account::current();
        let data = std::path::absolute(data)?;
        let parent = data
            .parent()
            .context("the root of the file system cannot hold a database")?;
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        if let Purpose::Throwaway(folder) = &purpose {
            account.own(&folder.path)?;
        }
        account.check_reach(parent)?;
        let install = std::path::absolute(install)?;
        account.check_reach(&install.join("bin"))?;
        Ok(Self {
            install,
            data,
            purpose,
            account,
        })
    }

    /// Opens and locks the server's log; `None` if a process serves the folder.
    ///
    /// The lock belongs to the open file, which every process of the server inherits, so it is released when the
    /// last of them exits in any way. A process id in a file could not ensure that.
    pub(super) fn try_lock(&self) -> anyhow::Result<Option<File>> {
        let path = self.neighbour("log");
        let open = File::options()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&path);
        let log = open.with_context(|| format!("cannot open the log {}", path.display()))?;
        match log.try_lock() {
            Ok(()) => Ok(Some(log)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock {}", path.display()))
            }
        }
    }

    /// Parses `postmaster.pid`, if it exists and is complete.
    pub(super) fn postmaster(&self) -> Option<Postmaster> {
        // Its lines: process, data folder, start time, port, socket folder, address, shared memory key, status
        // padded with spaces (miscadmin.h of Postgres).
        let content = fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let lines: Vec<_> = content.lines().map(str::trim).collect();
        Some(Postmaster {
            process: lines.first()?.parse().ok()?,
            port: lines.get(3)?.parse().ok()?,
            ready: *lines.get(7)? == "ready",
        })
    }

    /// The superuser's password, created on first use.
    pub(super) fn password(&self) -> anyhow::Result<String> {
        let path = self.neighbour("password");
        match fs::read_to_string(&path) {
            Ok(password) => return Ok(password.trim().to_owned()),
            Err(error) if error.kind() == ErrorKind::NotFound && !self.has_database() => (),
            Err(error) => {
                return Err(error).with_context(|| {
                    let (path, data) = (path.display(), self.data.display());
                    format!("cannot read {path}, the password of the database in {data}")
                });
            }
        }
        let password = random_name()?;
        let mut file = File::options()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&path)?;
        writeln!(file, "{password}")?;
        // initdb reads it, as the server's account.
        self.account.own(&path)?;
        Ok(password)
    }

    /// Starts a server on `port` and waits until it accepts connections. `log` is the locked log.
    pub(super) async fn start(&self, mut log: File, port: u16) -> anyhow::Result<Guardian> {
        let log_start = log.seek(SeekFrom::End(0))?;
        let launched = self.launch(log, port).await;
        launched.map_err(|error| {
            let (data, log) = (self.data.display(), self.neighbour("log"));
            let (log, last) = (log.display(), self.log_since(log_start));
            anyhow!("Postgres did not start on {data}: {error:#}. {log} ends with:\n{last}")
        })
    }

    /// Waits until every process of the server has exited.
    pub(super) async fn wait_until_free(&self, patience: Duration) -> anyhow::Result<File> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(log) = self.try_lock()? {
                return Ok(log);
            }
            let data = self.data.display();
            ensure!(
                Instant::now() < deadline,
                "the server of {data} still runs after {patience:?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn launch(&self, log: File, port: u16) -> anyhow::Result<Guardian> {
        self.password()?;
        if !self.has_database() {
            self.initialise(&log).await?;
        }
        // No process serves the folder, so a killed server left this file; after a reboot its process id may be
        // that of any process.
        match fs::remove_file(self.data.join("postmaster.pid")) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => (),
        }
        let mut arguments = vec!["-D".to_owned(), self.data.display().to_string()];
        arguments.extend(settings::arguments(&self.purpose, port));
        let mut guardian = self.guard("postgres", &arguments, log)?;
        self.wait_until_ready(&mut guardian).await?;
        Ok(guardian)
    }

    async fn wait_until_ready(&self, guardian: &mut Guardian) -> anyhow::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while !self.postmaster().is_some_and(|postmaster| postmaster.ready) {
            if let Some(status) = guardian.exit_status()? {
                bail!("the server exited ({status})");
            }
            ensure!(
                Instant::now() < deadline,
                "the server was not ready after {START_PATIENCE:?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    fn has_builtin_locales(&self) -> anyhow::Result<bool> {
        let help = Command::new(self.install.join("bin/initdb"))
            .arg("--help")
            .output()
            .context("cannot start initdb")?;
        Ok(String::from_utf8_lossy(&help.stdout).contains("--builtin-locale"))
    }

    /// Creates the database in a temporary folder and moves it into place, so that an interruption does not
    /// leave a partial one.
    async fn initialise(&self, log: &File) -> anyhow::Result<()> {
        let fresh = self.neighbour("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        DirBuilder::new().mode(0o700).create(&fresh)?;
        self.account.own(&fresh)?;
        let mut arguments = settings::INITDB.map(ToOwned::to_owned).to_vec();
        if self.has_builtin_locales()? {
            arguments.extend(settings::INITDB_BUILTIN.map(ToOwned::to_owned));
        }
        if matches!(self.purpose, Purpose::Throwaway(_)) {
            arguments.push("--no-sync".to_owned());
        }
        arguments.push(format!("--pwfile={}", self.neighbour("password").display()));
        arguments.push(format!("--pgdata={}", fresh.display()));
        let mut guardian = self.guard("initdb", &arguments, log.try_clone()?)?;
        let status = loop {
            match guardian.exit_status()? {
                Some(status) => break status,
                None => sleep(Duration::from_millis(5)).await,
            }
        };
        ensure!(status.success(), "initdb failed ({status})");
        fs::rename(&fresh, &self.data).with_context(|| {
            let data = self.data.display();
            format!("cannot put a new database in {data}: it must be empty or a database")
        })
    }

    /// Runs a program of Postgres until it exits or its owner ends.
    fn guard(&self, program: &str, arguments: &[String], log: File) -> anyhow::Result<Guardian> {
        // Fast shutdown disconnects clients and writes everything to disk; immediate shutdown is for data that
        // nobody will read.
        let signal = match &self.purpose {
            Purpose::Keep => "INT",
            Purpose::Throwaway(_) => "QUIT",
        };
        let program = self.install.join("bin").join(program);
        Guardian::run(
            self.account.command("/bin/sh"),
            signal,
            &program,
            arguments,
            log,
        )
        .with_context(|| format!("cannot run /bin/sh to start {}", program.display()))
    }

    /// The log's last lines after the byte `start`.
    fn log_since(&self, start: u64) -> String {
        let read = || {
            let mut log = File::open(self.neighbour("log"))?;
            log.seek(SeekFrom::Start(start))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok::<_, io::Error>(String::from_utf8_lossy(&bytes).into_owned())
        };
        let log = read().unwrap_or_else(|error| format!("(cannot read it: {error})"));
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn has_database(&self) -> bool {
        self.data.join("PG_VERSION").exists()
    }

    /// `DATA.extension`.
    fn neighbour(&self, extension: &str) -> PathBuf {
        let mut path = self.data.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }
}

/// 144 random bits as 24 characters that are safe in a URL or path.
pub(super) fn random_name() -> io::Result<String> {
    let mut random = [0; 18];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(random))
}
