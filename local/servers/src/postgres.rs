//! An embedded Postgres server as a value: it runs while the value lives, and never longer than
//! the process that owns it, however that ends.
//!
//! The server listens on a port of 127.0.0.1, for the superuser `rappel` with a random password.
//! Beside the data folder `DATA` are `DATA.log` (the server's log) and `DATA.password`.

mod cluster;
mod processes;
mod settings;

use std::{
    fs::File,
    net::Ipv4Addr,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use cluster::{Cluster, START_PATIENCE, random_name};
use settings::Purpose;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    guardian::{Guardian, Scratch},
    ports::free_port,
};

/// How long an orderly stop may take; it writes everything in memory to disk.
const STOP_PATIENCE: Duration = Duration::from_mins(1);

/// A running server. Dropping it stops the server and waits for that, unless it was only attached
/// to; [`Postgres::stop`] does the same without blocking the thread, and tells of failures.
#[derive(Debug)]
pub struct Postgres {
    // Fields are dropped in this order: the server ends before its folder goes.
    guardian: Option<Guardian>,
    cluster: Cluster,
    port: u16,
    password: String,
}

impl Postgres {
    /// Serves the database in the folder `data`, made on first use, with the programs of `install`
    /// ([`assets::Cache::postgres`]).
    ///
    /// If a server already runs on that folder, the value is attached to it: it ends with its
    /// owner, not with this value.
    pub async fn open(install: &Path, data: &Path) -> anyhow::Result<Self> {
        let cluster = Cluster::new(install, data, Purpose::Keep)?;
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            if let Some(postmaster) = cluster.postmaster()
                && postmaster.ready
                && answers(postmaster.port).await
            {
                let password = cluster.password()?;
                return Ok(Self {
                    guardian: None,
                    cluster,
                    port: postmaster.port,
                    password,
                });
            }
            if let Some(log) = cluster.try_lock()? {
                return Self::start(cluster, log).await;
            }
            // Another process is starting or stopping it.
            let data = cluster.data.display();
            ensure!(
                Instant::now() < deadline,
                "the server of {data} neither answered nor ended in {START_PATIENCE:?}; its process \
                 is in the first line of {data}/postmaster.pid"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// A server for tests, with an empty database in a temporary folder that goes with it. It
    /// writes nothing safely, and starts in less than a second.
    pub async fn throwaway(install: &Path) -> anyhow::Result<Self> {
        let name = format!("rappel-postgres-{}", random_name()?);
        let folder = Scratch::new(&name)
            .context("cannot make a temporary folder; TMPDIR names its place")?;
        let data = folder.path.join("data");
        let cluster = Cluster::new(install, &data, Purpose::Throwaway(folder))?;
        let log = cluster
            .try_lock()?
            .context("another process locked a folder of our own")?;
        Self::start(cluster, log).await
    }

    /// The URL of a database on this server, for the superuser. `database` is not escaped.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let Self { port, password, .. } = self;
        format!("postgres://rappel:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The TCP port on 127.0.0.1; it stays the same over [`Postgres::restart`].
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.cluster.data
    }

    /// Whether the server belongs to another process, which alone decides how long it runs.
    #[must_use]
    pub fn is_attached(&self) -> bool {
        self.guardian.is_none()
    }

    /// Disconnects the clients, stops the server, and returns when it has ended. A server that was
    /// attached to goes on.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let Some(guardian) = &mut self.guardian else {
            return Ok(());
        };
        guardian.release();
        let deadline = Instant::now() + STOP_PATIENCE;
        while guardian.ended()?.is_none() {
            let data = self.cluster.data.display();
            ensure!(
                Instant::now() < deadline,
                "the server of {data} did not stop in {STOP_PATIENCE:?}"
            );
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }

    /// For tests of faults: ends every process of the server with SIGKILL, as a power cut would,
    /// and returns when they are gone. Clients see their connections closed without a word, and
    /// new ones refused, until [`Postgres::restart`]. As after any such end, a System V segment of
    /// 56 bytes stays until the data is served again.
    pub async fn kill(&self) -> anyhow::Result<()> {
        let postmaster = self
            .cluster
            .postmaster()
            .context("the server is not running")?;
        processes::kill_tree(postmaster.process)?;
        self.cluster.wait_until_free(STOP_PATIENCE).await?;
        Ok(())
    }

    /// For tests of faults: starts the server again on the same port and data, after killing it if
    /// it runs. Fails for a server that was attached to.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if self.is_attached() {
            bail!(
                "the server of {} belongs to another process",
                self.cluster.data.display()
            );
        }
        if self.cluster.try_lock()?.is_none() {
            self.kill().await?;
        }
        let log = self.cluster.wait_until_free(STOP_PATIENCE).await?;
        self.guardian = Some(self.cluster.start(log, self.port).await?);
        Ok(())
    }

    async fn start(cluster: Cluster, log: File) -> anyhow::Result<Self> {
        let port = free_port()?;
        let guardian = Some(cluster.start(log, port).await?);
        let password = cluster.password()?;
        Ok(Self {
            guardian,
            cluster,
            port,
            password,
        })
    }
}

/// Whether a Postgres server answers on `port`.
async fn answers(port: u16) -> bool {
    // SSLRequest, to which a server replies with one letter before it asks who we are.
    const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
    let ask = async {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        server.write_all(&SSL_REQUEST).await?;
        server.read_u8().await
    };
    matches!(
        timeout(Duration::from_secs(2), ask).await,
        Ok(Ok(b'N' | b'S'))
    )
}
