//! Where the program comes from.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use local::assets::Cache;
use tokio::{sync::OnceCell, task::spawn_blocking};

/// The program, and the folder of the libraries that were fetched with it.
#[derive(Clone, Debug)]
pub(super) struct Program {
    executable: PathBuf,
    libraries: Option<PathBuf>,
    /// Major and minor.
    pub(super) version: (u32, u32),
}

impl Program {
    /// The program, looked for once.
    pub(super) async fn found() -> Result<Option<&'static Self>> {
        static FOUND: OnceCell<Option<Program>> = OnceCell::const_new();
        let look = || async { spawn_blocking(program).await.context("looking panicked")? };
        Ok(FOUND.get_or_try_init(look).await?.as_ref())
    }

    fn new(executable: PathBuf, libraries: Option<PathBuf>) -> Result<Self> {
        let mut program = Self {
            executable,
            libraries,
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

    /// To be given arguments.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// The installed `PgBouncer`, or Debian's package, unpacked into the cache once without installing it.
fn program() -> Result<Option<Program>> {
    for folder in [
        "/usr/sbin",
        "/usr/bin",
        "/usr/local/bin",
        "/opt/homebrew/bin",
    ] {
        let executable = Path::new(folder).join("pgbouncer");
        if executable.is_file() {
            return Program::new(executable, None).map(Some);
        }
    }
    let root = Cache::from_env()?.root().join("pgbouncer-debian");
    if !root.is_dir()
        && let Err(error) = fetch(&root)
    {
        println!(
            "skipped: no PgBouncer is installed, and Debian's package cannot be fetched: {error:#}"
        );
        return Ok(None);
    }
    let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let executable = root.join("usr/sbin/pgbouncer");
    Program::new(executable, Some(root.join(libraries))).map(Some)
}

/// Unpacks Debian's packages of `PgBouncer` and of the libraries that few machines have.
fn fetch(root: &Path) -> Result<()> {
    let cache = root.parent().context("the cache has a parent")?;
    fs::create_dir_all(cache).with_context(|| format!("making {}", cache.display()))?;
    let work = tempfile::tempdir_in(cache).context("making a folder in the cache")?;
    let download = || {
        run(Command::new("apt-get")
            .arg("download")
            .args(packages()?)
            .current_dir(work.path()))
    };
    if download().is_err() {
        // A fresh container knows no packages yet; only root may ask for the list.
        run(Command::new("apt-get").arg("update"))?;
        download()?;
    }
    let unpacked = work.path().join("root");
    for entry in fs::read_dir(work.path()).context("reading the downloads")? {
        let package = entry.context("reading the downloads")?.path();
        if package
            .extension()
            .is_some_and(|extension| extension == "deb")
        {
            run(Command::new("dpkg-deb")
                .arg("-x")
                .arg(&package)
                .arg(&unpacked))?;
        }
    }
    fs::set_permissions(&unpacked, Permissions::from_mode(0o755)).context("opening the folder")?;
    // Another process may have been faster.
    if !root.is_dir() {
        fs::rename(&unpacked, root).with_context(|| format!("making {}", root.display()))?;
    }
    Ok(())
}

/// `pgbouncer` and, under the names that this release of Debian gives them, its libraries.
fn packages() -> Result<Vec<String>> {
    let depends = run(Command::new("apt-cache").args(["depends", "pgbouncer"]))?;
    let libraries = depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .filter(|package| package.starts_with("libevent") || package.starts_with("libc-ares"));
    Ok(["pgbouncer"]
        .into_iter()
        .chain(libraries)
        .map(str::to_owned)
        .collect())
}

fn run(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{name} failed: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
