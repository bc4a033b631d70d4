//! The tools of a deploy, at the versions of `deploy/requirements.txt`: SAM, cfn-lint, cargo-lambda, zig.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::PathBuf,
    process::{Command as Blocking, Stdio},
};

use anyhow::{Context, Result, ensure};
use local::assets::Cache;
use tokio::{process::Command, sync::OnceCell, task::spawn_blocking};

/// A Python environment with the tools.
#[derive(Clone, Debug)]
pub struct Tools {
    programs: PathBuf,
}

const REQUIREMENTS: &str = include_str!("../deploy/requirements.txt");

impl Tools {
    /// The tools; the first caller fetches them into the cache.
    ///
    /// # Errors
    /// When Python cannot make an environment, or pip cannot fetch a package with its pinned hash.
    pub async fn installed() -> Result<&'static Self> {
        static INSTALLED: OnceCell<Tools> = OnceCell::const_new();
        INSTALLED
            .get_or_try_init(|| async {
                spawn_blocking(install)
                    .await
                    .context("installing the tools panicked")?
            })
            .await
    }

    /// One of the tools, which finds the others; it reports its usage to nobody, and knows no account.
    #[must_use]
    pub fn command(&self, program: &str) -> Command {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let folders = [self.programs.clone()].into_iter();
        let path = env::join_paths(folders.chain(env::split_paths(&inherited)));
        let mut command = Command::new(self.programs.join(program));
        // `cargo test` describes its package in the environment, which has build scripts run again.
        for (variable, _) in env::vars_os() {
            let name = variable.to_string_lossy();
            let of_a_package = [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_BIN_",
                "CARGO_CRATE_",
            ];
            if of_a_package.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(variable);
            }
        }
        command
            .env("PATH", path.unwrap_or(inherited))
            .env("SAM_CLI_TELEMETRY", "0")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end, and answers what it printed.
    ///
    /// # Errors
    /// When it fails, with all that it said.
    pub async fn run(command: &mut Command) -> Result<String> {
        let name = format!("{:?}", command.as_std());
        let output = command
            .output()
            .await
            .with_context(|| format!("starting {name}"))?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{name} failed:\n{stdout}\n{stderr}"
        );
        Ok(stdout.into_owned())
    }
}

/// Makes the environment, unless it is there; while another process makes it, this one waits.
fn install() -> Result<Tools> {
    let mut hasher = DefaultHasher::new();
    REQUIREMENTS.hash(&mut hasher);
    let cache = Cache::from_env()?.root().to_owned();
    let root = cache.join(format!("deploy-tools-{:016x}", hasher.finish()));
    let tools = Tools {
        programs: root.join("bin"),
    };
    fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let lock = File::create(root.with_extension("lock")).context("locking the tools")?;
    lock.lock().context("locking the tools")?;
    // Written last: programs name the folder they were installed in, so it cannot be moved into place.
    let complete = root.join("complete");
    if complete.is_file() {
        return Ok(tools);
    }
    writeln!(
        io::stderr(),
        "fetching SAM, cfn-lint, cargo-lambda and zig (150 MB)"
    )?;
    let python = |arguments: &[&str]| run(Blocking::new("python3").args(arguments));
    python(&["-m", "venv", "--clear", &root.to_string_lossy()])
        .context("python3 cannot make an environment; on Debian, install python3-venv")?;
    let requirements = root.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS).context("writing the requirements")?;
    run(Blocking::new(root.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
        .args([
            "--disable-pip-version-check",
            "--only-binary=:all:",
            "--require-hashes",
            "-r",
        ])
        .arg(&requirements))?;
    fs::write(&complete, "").context("marking the tools as complete")?;
    Ok(tools)
}

fn run(command: &mut Blocking) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed:\n{stderr}");
    Ok(())
}
