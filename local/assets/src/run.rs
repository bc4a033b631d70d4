//! Runs a command to its end.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Runs `command` and returns its standard output.
///
/// # Errors
/// When it fails, with its standard error.
pub fn run(command: &mut Command) -> Result<String> {
    let name = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {name}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name} failed:\n{said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
