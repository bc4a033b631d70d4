//! Finds the available versions of `PgBouncer`.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use assets::run::run;
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::packages::{self, Unpacked};

/// The first version with support for prepared statements (`max_prepared_statements`).
const REMEMBERING: (u32, u32) = (1, 21);

/// Debian releases with a `PgBouncer` before that version (1.18) and after it (1.24).
const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// An executable, and its package if it was fetched.
#[derive(Clone, Debug)]
pub(super) struct Program {
    executable: PathBuf,
    unpacked: Option<Unpacked>,
    /// Major and minor.
    version: (u32, u32),
}

impl Program {
    /// The available programs, looked up once: the installed one first, and as far as Debian's packages can be
    /// fetched, one with support for prepared statements and one without.
    pub(super) async fn all() -> Result<&'static [Self]> {
        static ALL: OnceCell<Vec<Program>> = OnceCell::const_new();
        let look = || async {
            spawn_blocking(look)
                .await
                .context("looking for PgBouncer panicked")?
        };
        Ok(ALL.get_or_try_init(look).await?)
    }

    /// Whether it supports prepared statements.
    pub(super) fn remembers(&self) -> bool {
        self.version >= REMEMBERING
    }

    /// The command, without arguments.
    pub(super) fn command(&self) -> Command {
        match &self.unpacked {
            Some(unpacked) => unpacked.command(&self.executable),
            None => Command::new(&self.executable),
        }
    }

    fn new(executable: PathBuf, unpacked: Option<Unpacked>) -> Result<Self> {
        let mut program = Self {
            executable,
            unpacked,
            version: (0, 0),
        };
        // The output is "PgBouncer 1.18.0" followed by its libraries.
        let said = run(program.command().arg("--version"))?;
        let mut numbers = said
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .split('.')
            .map_while(|number| number.parse().ok());
        program.version = numbers
            .next()
            .zip(numbers.next())
            .with_context(|| format!("cannot parse PgBouncer's version from {said:?}"))?;
        Ok(program)
    }

    fn of_release(release: &str) -> Result<Self> {
        let unpacked = packages::unpack("pgbouncer", release)?;
        Self::new(unpacked.path("usr/sbin/pgbouncer"), Some(unpacked))
    }
}

fn look() -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    if let Some(executable) = installed() {
        programs.push(Program::new(executable, None)?);
    }
    for (release, remembers) in RELEASES.into_iter().zip([false, true]) {
        if programs
            .iter()
            .any(|program| program.remembers() == remembers)
        {
            continue;
        }
        match Program::of_release(release) {
            Ok(program) => programs.push(program),
            Err(error) => note(&format!(
                "cannot fetch PgBouncer of Debian {release}: {error:#}"
            )),
        }
    }
    Ok(programs)
}

fn installed() -> Option<PathBuf> {
    [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
    ]
    .into_iter()
    .map(|folder| Path::new(folder).join("pgbouncer"))
    .find(|executable| executable.is_file())
}

/// Prints a message to stderr.
pub(super) fn note(message: &str) {
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "{message}");
}
