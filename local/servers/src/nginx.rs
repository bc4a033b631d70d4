//! nginx with default settings as a reverse proxy, to test streams behind it.

use std::{
    fs,
    net::Ipv4Addr,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use tokio::{net::TcpStream, task::spawn_blocking, time::sleep};

use crate::{pooler::packages, ports::free_port};

/// How long it may take to listen.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// The Debian release whose nginx is used.
const RELEASE: &str = "bookworm";

/// A running nginx on a port of 127.0.0.1; dropping it ends it.
pub struct Nginx {
    process: Child,
    port: u16,
    /// Its configuration, logs and buffers.
    _folder: TempDir,
}

impl Nginx {
    /// Starts it as a reverse proxy for `url`, with only the required settings.
    ///
    /// # Errors
    /// When Debian's package cannot be fetched, or nginx does not start.
    pub async fn before(url: &str) -> Result<Self> {
        let program = spawn_blocking(|| packages::unpack("nginx", RELEASE));
        let program = program.await.context("fetching nginx panicked")??;
        let port = free_port()?;
        let folder = tempfile::tempdir().context("making a folder for nginx")?;
        let root = folder.path().display();
        let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("  {kind}_temp_path {root}/{kind};\n"))
            .concat();
        let settings = format!(
            "daemon off;\nmaster_process off;\npid {root}/pid;\nerror_log {root}/error.log;\nevents {{}}\n\
             http {{\n  access_log off;\n{paths}  server {{\n    listen 127.0.0.1:{port};\n    \
             location / {{ proxy_pass {url}; }}\n  }}\n}}\n"
        );
        let file = folder.path().join("nginx.conf");
        fs::write(&file, settings).context("writing nginx's settings")?;
        let process = program
            .command(&program.path("usr/sbin/nginx"))
            .arg("-e")
            .arg(folder.path().join("error.log"))
            .arg("-c")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("starting nginx")?;
        let mut nginx = Self {
            process,
            port,
            _folder: folder,
        };
        nginx.listening().await?;
        Ok(nginx)
    }

    /// Its URL without a trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn listening(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .is_err()
        {
            let exited = self.process.try_wait().context("waiting for nginx")?;
            ensure!(exited.is_none(), "nginx exited at once: {exited:?}");
            ensure!(Instant::now() < deadline, "nginx does not listen");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // An error means that it has exited already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
