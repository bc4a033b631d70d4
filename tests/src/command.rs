//! The built `rappel` command, as a user runs it.

use std::{
    fs::{self, Permissions},
    io::{Seek as _, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::Assets;

/// The result of a command.
#[derive(Clone, Debug)]
pub struct Printed {
    /// Whether it exited with 0.
    pub success: bool,
    /// The exit status; `None` if a signal killed it.
    pub status: Option<i32>,
    /// The standard output.
    pub stdout: String,
    /// The standard error.
    pub stderr: String,
}

/// `rappel` with arguments, on the database `database_url` or else an embedded one.
///
/// # Errors
/// When the command is not built.
pub async fn rappel(database_url: Option<&str>, arguments: &[&str]) -> Result<Command> {
    let assets = Assets::prepared().await?;
    let mut command = Command::new(assets.binaries.join("rappel"));
    command
        .args(arguments)
        .current_dir(&assets.workspace)
        .env_remove("DATABASE_URL")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(url) = database_url {
        command.env("DATABASE_URL", url);
    }
    Ok(command)
}

impl Printed {
    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn by(command: &mut Command) -> Result<Self> {
        let output = command.output().await.context("starting rappel")?;
        Ok(Self {
            success: output.status.success(),
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).context("stdout is UTF-8")?,
            stderr: String::from_utf8(output.stderr).context("stderr is UTF-8")?,
        })
    }

    /// Runs a command to its end, with a text as its standard input.
    ///
    /// # Errors
    /// When it cannot be started, or does not read.
    pub async fn told(command: &mut Command, text: &str) -> Result<Self> {
        let mut input = tempfile::tempfile().context("making a file for stdin")?;
        input.write_all(text.as_bytes())?;
        input.rewind()?;
        Self::by(command.stdin(input)).await
    }

    /// The standard output of a successful command.
    ///
    /// # Errors
    /// When it failed, with all its output.
    pub fn answer(&self) -> Result<&str> {
        ensure!(
            self.success,
            "rappel failed: {}{}",
            self.stdout,
            self.stderr
        );
        Ok(&self.stdout)
    }

    /// The JSON output of a successful command.
    ///
    /// # Errors
    /// When it failed, or its output is not JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(self.answer()?).context("the answer is JSON")
    }
}

/// A temporary folder that the embedded Postgres, which runs as another user, can enter.
///
/// # Errors
/// When it cannot be made.
pub fn open_folder() -> Result<TempDir> {
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755))
        .context("opening the temporary folder")?;
    Ok(folder)
}

/// Writes `lines` to a file of `folder`, each with a line break.
///
/// # Errors
/// When the file cannot be written.
pub fn write_lines(folder: &Path, name: &str, lines: &[String]) -> Result<String> {
    let file = folder.join(name);
    fs::write(&file, lines.join("\n") + "\n")
        .with_context(|| format!("writing {}", file.display()))?;
    Ok(file.display().to_string())
}
