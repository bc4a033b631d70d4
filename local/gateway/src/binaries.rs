//! The function binaries that a gateway runs: where the workspace is, and how they are built.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use template::Template;

/// The file that marks the workspace and names its functions.
const TEMPLATE: &str = "template.yaml";
/// Names a folder of ready binaries to use instead of building them.
const READY_BINARIES: &str = "RAPPEL_BINARIES";

/// How cargo is to build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// What `cargo build` and `cargo test` use.
    Dev,
    /// Optimised, as with `cargo build --release`.
    Release,
}

/// The folder that holds `template.yaml`: the current one or one above it, else the workspace this
/// program was compiled in.
///
/// # Errors
/// Neither has a template.
pub fn workspace() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder is gone")?;
    let compiled = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = here
        .ancestors()
        .chain(compiled.ancestors())
        .find(|folder| folder.join(TEMPLATE).is_file());
    let folder = folder.with_context(|| {
        let (here, compiled) = (here.display(), compiled.display());
        format!(
            "no {TEMPLATE} in {here}, in {compiled} or above them: run this within the workspace"
        )
    })?;
    Ok(folder.to_owned())
}

/// Builds every function of the workspace's template and returns the folder with the executables. A
/// process builds each profile once; later calls, also from other threads, get the same folder.
///
/// If `RAPPEL_BINARIES` is set, nothing is built and its folder is returned.
///
/// # Errors
/// cargo is missing or fails, or a function of the template has no binary afterwards.
pub fn build(workspace: &Path, profile: Profile) -> anyhow::Result<PathBuf> {
    static BUILT: Mutex<BTreeMap<(PathBuf, Profile), PathBuf>> = Mutex::new(BTreeMap::new());

    if let Some(ready) = std::env::var_os(READY_BINARIES).map(PathBuf::from) {
        ensure!(
            ready.is_dir(),
            "{READY_BINARIES} names {}, which is no folder",
            ready.display()
        );
        return Ok(ready);
    }
    // Held while cargo runs: who comes second waits for the result.
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
    // All members, and not one package after the other: what `cargo run` or `cargo test` compiled for
    // all of them is used again only if the same set resolves the same features.
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
                "`cargo build` made no {}: `{resource}` in {TEMPLATE} names the binary `{name}`, which must \
                 be one of the workspace's members",
                binary.display()
            );
        }
    }
    Ok(folder)
}

/// The folder that cargo builds in, as its configuration and environment say.
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
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("`cargo metadata` printed no JSON")?;
    let folder = metadata["target_directory"].as_str();
    folder
        .map(PathBuf::from)
        .context("`cargo metadata` names no target_directory")
}

fn cargo(workspace: &Path) -> Command {
    // Under cargo, CARGO is the very one that runs us.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace);
    // `cargo run` and `cargo test` describe the package that they run in the environment. Build scripts
    // that watch these variables (that of `ring` does) would run again, and what depends on them would
    // be compiled anew, at every change between a build from here and one from the terminal.
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
    fn builds_what_the_template_names() {
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
