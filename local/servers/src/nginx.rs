//! nginx before the API, with its defaults, to see how streams fare behind it.

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

/// Debian's release whose nginx it is.
const RELEASE: &str = "bookworm";

/// A running nginx on a port of 127.0.0.1; it ends when this is dropped.
pub struct Nginx {
    process: Child,
    port: u16,
    /// Its settings, logs and buffers.
    _folder: TempDir,
}

impl Nginx {
    /// Starts it as a proxy before `url`, with nothing set that it does not need.
    ///
    /// # Errors
    /// When Debian's package cannot be fetched, or it does not start.
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

    /// Where it is, without a slash at the end.
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
            let ended = self.process.try_wait().context("looking at nginx")?;
            ensure!(ended.is_none(), "nginx ended at once: {ended:?}");
            ensure!(Instant::now() < deadline, "nginx does not listen");
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
