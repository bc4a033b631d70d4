//! Python programs, each list of packages in an environment of its own in the cache.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, Write as _},
    path::PathBuf,
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{Cache, lock, unpack::create_open_folder};
use crate::run::run;

impl Cache {
    /// The folder of a Python environment, which is made and filled unless it is there; its programs are
    /// in `bin`. It is named `name` and after what is in it: other packages make another one. `requirements` pins
    /// every package by its version and the hashes of its files; `label` is what the user reads.
    ///
    /// # Errors
    /// When `python` cannot make an environment, or pip cannot fetch a package with its pinned hash.
    pub fn environment(
        &self,
        name: &str,
        label: &str,
        python: &str,
        requirements: &str,
    ) -> Result<PathBuf> {
        let mut hasher = DefaultHasher::new();
        (python, requirements).hash(&mut hasher);
        let key = format!("{name}-{:016x}", hasher.finish());
        let root = self.root.join(&key);
        create_open_folder(&self.root)
            .with_context(|| format!("making {}", self.root.display()))?;
        let _lock = lock(&self.root.join(format!("{key}.lock")), label)?;
        // Written last: programs name the folder they were installed in, so it cannot be moved into place.
        let complete = root.join("complete");
        if complete.is_file() {
            return Ok(root);
        }
        writeln!(io::stderr(), "fetching {label}")?;
        run(Command::new(python)
            .args(["-m", "venv", "--clear"])
            .arg(&root))
        .with_context(|| {
            format!("{python} cannot make an environment; on Debian, install {python}-venv")
        })?;
        let list = root.join("requirements.txt");
        fs::write(&list, requirements).context("writing the requirements")?;
        run(Command::new(root.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--no-deps"])
            .args(["--disable-pip-version-check", "--only-binary=:all:"])
            .args(["--require-hashes", "--requirement"])
            .arg(&list))?;
        fs::write(&complete, "").with_context(|| format!("marking {label} as complete"))?;
        Ok(root)
    }
}
