//! An AWS account as simulated by moto's server: stacks, change sets, the upload bucket.

use std::{
    io::{Seek as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::Tools;

/// The server starts in a second on an idle machine.
const HANG: Duration = Duration::from_mins(2);

/// An account in which SAM was used before; dropping it ends the server.
pub struct Account {
    endpoint: String,
    _server: Child,
}

impl Account {
    /// Starts a server with an account.
    ///
    /// # Errors
    /// When moto does not start.
    pub async fn open() -> Result<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = free.local_addr()?.port();
        drop(free);
        let server = Tools::installed()
            .await?
            .command("moto_server")
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("starting moto")?;
        let listens = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .is_err()
            {
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(HANG, listens)
            .await
            .context("moto does not listen")?;
        let account = Self {
            // moto finds the bucket of a template URL in its path only with this host name.
            endpoint: format!("http://localhost:{port}"),
            _server: server,
        };
        account.python("account.py").await?;
        Ok(account)
    }

    /// A tool's command, with this account's credentials.
    ///
    /// # Errors
    /// When the tools cannot be installed.
    pub async fn command(&self, program: &str) -> Result<Command> {
        let mut command = Tools::installed().await?.command(program);
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI");
        Ok(command)
    }

    /// Runs a script of `deploy/` in this account and returns its output.
    ///
    /// # Errors
    /// When it fails, with its output.
    pub async fn python(&self, script: &str) -> Result<String> {
        self.python_with(script, "").await
    }

    /// The same with standard input.
    ///
    /// # Errors
    /// When it fails, with its output.
    pub async fn python_with(&self, script: &str, input: &str) -> Result<String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("deploy")
            .join(script);
        // From a file: a program that exits early would break a pipe.
        let mut file = tempfile::tempfile()?;
        file.write_all(input.as_bytes())?;
        file.rewind()?;
        let mut python = self.command("python").await?;
        Tools::run(python.arg(script).stdin(file)).await
    }
}
