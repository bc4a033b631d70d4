//! Which programs there are.

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use assets::run::run;
use tokio::{sync::OnceCell, task::spawn_blocking};

use super::packages::{self, Unpacked};

/// The first version that keeps its clients' named statements apart.
const REMEMBERING: (u32, u32) = (1, 21);

/// Releases of Debian, with a `PgBouncer` before that version (1.18) and one after it (1.24).
const RELEASES: [&str; 2] = ["bookworm", "trixie"];

/// A program, and what was fetched with it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    executable: PathBuf,
    unpacked: Option<Unpacked>,
    /// Major and minor.
    version: (u32, u32),
}

impl Program {
    /// The programs of this machine, looked for once: the installed one first, and as far as Debian's
    /// packages can be fetched, one that remembers named statements and one that does not.
    pub(super) async fn all() -> Result<&'static [Self]> {
        static ALL: OnceCell<Vec<Program>> = OnceCell::const_new();
        let look = || async { spawn_blocking(look).await.context("looking panicked")? };
        Ok(ALL.get_or_try_init(look).await?)
    }

    /// Whether it keeps its clients' named statements apart.
    pub(super) fn remembers(&self) -> bool {
        self.version >= REMEMBERING
    }

    /// To be given arguments.
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
        // "PgBouncer 1.18.0" and its libraries.
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
            .with_context(|| format!("PgBouncer does not tell its version but {said:?}"))?;
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
                "no PgBouncer of Debian's {release} can be fetched: {error:#}"
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

/// Says on stderr what there is not.
pub(super) fn note(message: &str) {
    // Nothing is lost if nobody reads it.
    let _ = writeln!(io::stderr(), "{message}");
}
