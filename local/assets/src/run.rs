//! A command, run to its end.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// What `command` prints.
///
/// # Errors
/// When it fails, with what it says of that.
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
