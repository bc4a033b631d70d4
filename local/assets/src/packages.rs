//! Python packages in a folder, through the user's own package client.

use std::{
    fs,
    io::{self, IsTerminal as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use anyhow::bail;

use super::download::{ADVICE, cannot_run, last_lines, without_pip};

/// The version of `python` as in `python3.11`.
pub(super) fn python_version(mut python: Command, label: &str) -> anyhow::Result<String> {
    let program = python.get_program().to_string_lossy().into_owned();
    let script = "import sys; print(f'python{sys.version_info[0]}.{sys.version_info[1]}')";
    let output = python
        .args(["-c", script])
        .output()
        .map_err(|error| cannot_run(&program, label, &error))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Installs Python packages into `content` with `python -m pip install`. `requirements` pins each by its
/// version and hashes, which pip checks; `folder` is for the files that are needed meanwhile.
pub(super) fn install(
    python: Command,
    label: &str,
    requirements: &str,
    folder: &Path,
    content: &Path,
) -> anyhow::Result<()> {
    let program = python.get_program().to_string_lossy().into_owned();
    let list = folder.join("requirements.txt");
    fs::write(&list, requirements)?;
    if !io::stderr().is_terminal() {
        // Nothing is lost if nobody reads it.
        let _ = writeln!(io::stderr(), "fetching {label}");
    }
    let mut pip = python;
    pip.args(["-m", "pip", "install", "--no-deps", "--require-hashes"])
        .args(["--only-binary=:all:", "--no-input", "--quiet"])
        .args(["--disable-pip-version-check", "--no-warn-script-location"])
        .arg("--target")
        .arg(content)
        .arg("--requirement")
        .arg(&list)
        .env("TMPDIR", folder)
        .stdin(Stdio::null());
    let output = pip
        .output()
        .map_err(|error| cannot_run(&program, label, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if let Some(cause) = without_pip(label, &said) {
        bail!(cause);
    }
    bail!(
        "cannot fetch {label}: pip could not install its packages. Its last lines:\n  {}\n{ADVICE}",
        last_lines(&said)
    )
}
