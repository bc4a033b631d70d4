//! The shell process between us and the server, which stops the server when we are gone.
//!
//! Linux could kill a child with its parent (`PR_SET_PDEATHSIG`), but only through `unsafe` code,
//! without an orderly shutdown, and not on macOS.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::account::Account;

/// How long a dropped server may take to stop before we leave it to its guardian: a shutdown of a
/// database of the laptop's size takes a tenth of a second.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A running guardian with its server. Dropping it stops both, and waits for that.
#[derive(Debug)]
pub(super) struct Guardian {
    shell: Child,
}

/// How a server ends when its owner has gone.
pub(super) enum End<'a> {
    /// Clients are disconnected and everything is on disk.
    Orderly,
    /// At once, and this folder is deleted.
    Erase(&'a Path),
}

impl Guardian {
    /// Runs `server` with `arguments` under `account`; both write to `log`.
    pub(super) fn start(
        account: Account,
        end: &End<'_>,
        server: &Path,
        arguments: &[String],
        log: File,
    ) -> io::Result<Self> {
        let (signal, folder) = match end {
            End::Orderly => ("INT", Path::new("")),
            End::Erase(folder) => ("QUIT", *folder),
        };
        let mut shell = account.command("/bin/sh");
        shell
            .args([
                "-c",
                include_str!("guardian.sh"),
                "rappel-postgres-guardian",
                signal,
            ])
            .arg(folder)
            .arg(server)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in a terminal goes to a whole process group; the owner decides the order in
            // which things stop, so the server is not in its group.
            .process_group(0);
        Ok(Self {
            shell: shell.spawn()?,
        })
    }

    /// The status of the server if it has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Tells the guardian that the server is no longer wanted, without waiting.
    pub(super) fn release(&mut self) {
        drop(self.shell.stdin.take());
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.release();
        let deadline = Instant::now() + DROP_PATIENCE;
        while matches!(self.ended(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
