//! Shell processes that clean up after this process, however it ends.
//!
//! On Linux, `PR_SET_PDEATHSIG` could kill a child with its parent, but only through `unsafe` code and without
//! an orderly shutdown. Every kernel closes a pipe.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long dropping a guardian may wait: a shutdown of a database of the laptop's size takes a tenth of a
/// second.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A running shell that acts once its standard input closes. Dropping it closes the input and waits until it
/// exits.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
}

/// A temporary folder, deleted when the value is dropped or its process ends in any way.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    _sweeper: Guardian,
}

impl Guardian {
    /// Runs `program`, logging to `log`, until it exits or `signal` ends it. `shell` is `/bin/sh` with the
    /// program's account and environment.
    pub(crate) fn run(
        mut shell: Command,
        signal: &str,
        program: &Path,
        arguments: &[String],
        log: File,
    ) -> io::Result<Self> {
        shell
            .args(["-c", include_str!("guardian.sh")])
            .args(["rappel-guardian", signal])
            .arg(program)
            .args(arguments)
            .stdout(log.try_clone()?)
            .stderr(log);
        Self::spawn(shell)
    }

    /// The program's exit status, if it has exited.
    pub(crate) fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Makes the guardian act, without waiting.
    pub(crate) fn release(&mut self) {
        drop(self.shell.stdin.take());
    }

    fn spawn(mut shell: Command) -> io::Result<Self> {
        // A terminal sends Ctrl-C to the whole process group; the owner decides in which order things stop, so its
        // guardians are in other groups.
        let shell = shell.stdin(Stdio::piped()).process_group(0).spawn()?;
        Ok(Self { shell })
    }
}

impl Scratch {
    /// A new private folder `name` among the temporary files.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let path = std::path::absolute(std::env::temp_dir())?.join(name);
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", include_str!("sweeper.sh"), "rappel-sweeper"])
            .arg(&path)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // The sweeper starts first, so that no folder exists without one.
        let sweeper = Guardian::spawn(shell)?;
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self {
            path,
            _sweeper: sweeper,
        })
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.release();
        let deadline = Instant::now() + DROP_PATIENCE;
        while matches!(self.exit_status(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
