//! Builds the function binaries that a gateway runs.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use template::Template;

/// Marks the workspace and lists its functions.
const TEMPLATE: &str = "template.yaml";
/// A folder of built binaries; set, nothing is built.
const READY_BINARIES: &str = "RAPPEL_BINARIES";

/// A cargo profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// What `cargo build` and `cargo test` use.
    Dev,
    /// Optimised, as with `cargo build --release`.
    Release,
}

/// The folder that holds `template.yaml`: the current one or one of its ancestors, else the workspace
/// this program was compiled in.
///
/// # Errors
/// Neither has a template.
pub fn workspace() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("cannot read the current folder")?;
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here
        .ancestors()
        .chain(compiled.ancestors())
        .find(|folder| folder.join(TEMPLATE).is_file());
    let folder = folder.with_context(|| {
        let (here, compiled) = (here.display(), compiled.display());
        format!(
            "no {TEMPLATE} in {here}, in {compiled} or above them: run this inside the workspace"
        )
    })?;
    Ok(folder.to_owned())
}

/// Builds every function of the template and returns the folder of the executables. A process builds each
/// profile once; later calls, also from other threads, return the same folder.
///
/// If `RAPPEL_BINARIES` is set, nothing is built and its folder is returned.
///
/// # Errors
/// cargo is missing or fails, or a function of the template has no binary.
pub fn build(workspace: &Path, profile: Profile) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<(PathBuf, Profile), PathBuf>> = Mutex::new(BTreeMap::new());

    if let Some(ready) = std::env::var_os(READY_BINARIES).map(PathBuf::from) {
        ensure!(
            ready.is_dir(),
            "{READY_BINARIES} is {}, which is not a folder",
            ready.display()
        );
        return Ok(ready);
    }
    // Held while cargo runs, so that a second caller waits for the result.
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let key = (workspace.to_owned(), profile);
    if let Some(folder) = built.get(&key) {
        return Ok(folder.clone());
    }
    let folder = cargo_build(workspace, profile)?;
    built.insert(key, folder.clone());
    Ok(folder)
}

fn cargo_build(workspace: &Path, profile: Profile) -> anyhow::Result<PathBuf> {
    let template = Template::read(&workspace.join(TEMPLATE))?;
    // All members at once: only with the same set of packages, and so of features, does cargo reuse what
    // `cargo run` or `cargo test` compiled.
    let mut command = cargo(workspace);
    command
        .args(["build", "--workspace", "--bins"])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let folder = match profile {
        Profile::Dev => "debug",
        Profile::Release => {
            command.arg("--release");
            "release"
        }
    };
    let status = command
        .status()
        .context("cannot run cargo: is it on the PATH?")?;
    ensure!(
        status.success(),
        "`cargo build` failed in {} ({status})",
        workspace.display()
    );

    let folder = target_directory(workspace)?.join(folder);
    for function in &template.functions {
        let binary = folder.join(&function.binary);
        if !binary.is_file() {
            let (name, resource) = (&function.binary, &function.resource);
            bail!(
                "`cargo build` did not produce {}: `{resource}` in {TEMPLATE} names the binary `{name}`, which must \
                 be a member of the workspace",
                binary.display()
            );
        }
    }
    Ok(folder)
}

/// Cargo's target directory.
fn target_directory(workspace: &Path) -> anyhow::Result<PathBuf> {
    let mut command = cargo(workspace);
    command.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot run cargo: is it on the PATH?")?;
    ensure!(
        output.status.success(),
        "`cargo metadata` failed in {}",
        workspace.display()
    );
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .context("the output of `cargo metadata` is not JSON")?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .context("the output of `cargo metadata` has no target_directory")
}

fn cargo(workspace: &Path) -> Command {
    // Under cargo, CARGO is the cargo that runs us.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace);
    // `cargo run` and `cargo test` describe the package that they run in the environment. Build scripts
    // that watch these variables, as `ring`'s does, would run again and recompile its dependents whenever
    // builds from here and from the terminal alternate.
    for (variable, _) in std::env::vars_os() {
        let name = variable.to_string_lossy();
        if [
            "CARGO_PKG_",
            "CARGO_MANIFEST_",
            "CARGO_BIN_",
            "CARGO_CRATE_",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        {
            command.env_remove(variable);
        }
    }
    command
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write as _};

    use super::*;

    const MANIFEST: &str = r#"
[package]
name = "tiny"
version = "0.0.0"
edition = "2024"

[workspace]
"#;

    fn template(binary: &str) -> String {
        format!(
            "Resources: {{ F: {{ Type: 'AWS::Serverless::Function', \
             Metadata: {{ BuildProperties: {{ Binary: {binary} }} }} }} }}"
        )
    }

    #[test]
    fn builds_the_binaries_of_the_template() {
        if std::env::var_os(READY_BINARIES).is_some() {
            let _ = writeln!(
                io::stderr(),
                "not run: {READY_BINARIES} is set, so nothing is built"
            );
            return;
        }
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().expect("it is in the folder"))
                .and_then(|()| std::fs::write(path, text))
                .expect("the temporary folder is writable");
        };
        write("Cargo.toml", MANIFEST);
        write("src/main.rs", "fn main() {}");
        write(TEMPLATE, &template("huge"));
        let error = build(folder.path(), Profile::Dev).expect_err("there is no such binary");
        assert!(error.to_string().contains("`huge`"), "{error}");

        write(TEMPLATE, &template("tiny"));
        let built = build(folder.path(), Profile::Dev).expect("a program of one line builds");
        assert!(
            built.join("tiny").is_file(),
            "no binary in {}",
            built.display()
        );

        write("src/main.rs", "this is not built");
        let again = build(folder.path(), Profile::Dev).expect("the second call builds nothing");
        assert_eq!(again, built);
    }
}
