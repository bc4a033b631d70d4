//! The shell processes that clean up after us, however we end.
//!
//! Linux could kill a child with its parent (`PR_SET_PDEATHSIG`), but only through `unsafe` code,
//! without an orderly shutdown, and not on macOS. A pipe is closed by every kernel.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How long a dropped guardian may take before we leave it alone: a shutdown of a database of the
/// laptop's size takes a tenth of a second.
const DROP_PATIENCE: Duration = Duration::from_secs(10);

/// A running shell that acts once its standard input closes. Dropping it makes it act, and waits
/// for its end.
#[derive(Debug)]
pub(crate) struct Guardian {
    shell: Child,
}

/// A temporary folder, deleted when the value is dropped or its process ends in any other way.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
    _sweeper: Guardian,
}

impl Guardian {
    /// Runs `program`, writing to `log`, until it ends or `signal` ends it. `shell` is `/bin/sh` with the
    /// account and the environment that the program gets.
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

    /// The status of the program if it has ended.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.shell.try_wait()
    }

    /// Makes the guardian act, without waiting for it.
    pub(crate) fn release(&mut self) {
        drop(self.shell.stdin.take());
    }

    fn spawn(mut shell: Command) -> io::Result<Self> {
        // Ctrl-C in a terminal goes to a whole process group; the owner decides the order in which
        // things stop, so its guardians are not in its group.
        let shell = shell.stdin(Stdio::piped()).process_group(0).spawn()?;
        Ok(Self { shell })
    }
}

impl Scratch {
    /// A new folder `name` among the temporary files, which only we may enter.
    pub(crate) fn new(name: &str) -> io::Result<Self> {
        let path = std::path::absolute(std::env::temp_dir())?.join(name);
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", include_str!("sweeper.sh"), "rappel-sweeper"])
            .arg(&path)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // The sweeper comes first, so that at no moment there is a folder without one.
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
        while matches!(self.ended(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}
