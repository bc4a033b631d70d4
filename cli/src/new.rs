//! `rappel new`: a project that deploys Rappel with its own parameters.

use std::{fs, io::Write as _, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::terminal::{self, note};

/// Write the files of a project that deploys Rappel without a fork of it: parameters, a workflow for GitHub, and the role that
/// it deploys with.
#[derive(Args)]
pub(crate) struct New {
    /// The project's folder: a new or an empty one; it may have a .git.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// The files, which are those of the documentation.
const FILES: [(&str, &str); 6] = [
    (
        "README.md",
        include_str!("../../docs/examples/project/README.md"),
    ),
    (
        "samconfig.toml",
        include_str!("../../docs/examples/project/samconfig.toml"),
    ),
    (
        ".env.example",
        include_str!("../../docs/examples/project/env.example"),
    ),
    (
        ".gitignore",
        include_str!("../../docs/examples/project/gitignore"),
    ),
    (
        "deployer.yaml",
        include_str!("../../docs/examples/project/deployer.yaml"),
    ),
    (
        ".github/workflows/deploy.yml",
        include_str!("../../docs/examples/project/deploy.yml"),
    ),
];

impl New {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let shown = self.folder.display();
        fs::create_dir_all(&self.folder).with_context(|| format!("cannot create {shown}"))?;
        let entries = fs::read_dir(&self.folder).with_context(|| format!("cannot read {shown}"))?;
        for entry in entries {
            let name = entry?.file_name();
            if name != ".git" {
                bail!(
                    "the folder {shown} is not empty (it has {}), and nothing is overwritten: name a new one",
                    name.display()
                );
            }
        }
        let mut out = terminal::out();
        for (name, text) in FILES {
            let file = self.folder.join(name);
            let folder = file.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
            writeln!(out, "{}", file.display())?;
        }
        note("README.md has the next steps");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_project_deploys_this_release() {
        let release = concat!("v", env!("CARGO_PKG_VERSION"));
        for name in ["README.md", ".github/workflows/deploy.yml"] {
            let (_, text) = FILES.iter().find(|(file, _)| *file == name).expect(name);
            assert!(text.contains(release), "{name} names {release}");
        }
    }
}
