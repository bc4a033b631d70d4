//! The tools of a deploy, at the versions of `deploy/requirements.txt`: SAM, cfn-lint, cargo-lambda, zig.

use std::{env, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use assets::Cache;
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

fn install() -> Result<Tools> {
    let environment = Cache::from_env()?.environment(
        "deploy-tools",
        "SAM, cfn-lint, cargo-lambda and zig (150 MB)",
        "python3",
        REQUIREMENTS,
    )?;
    Ok(Tools {
        programs: environment.join("bin"),
    })
}
