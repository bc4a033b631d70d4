//! The models that run in the function.

use std::{path::PathBuf, thread};

use super::{
    ConfigError,
    variables::{number, optional, required},
};

/// Where a model and the library that runs it are.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Folder with `model.onnx`, `tokenizer.json` and `manifest.json`.
    pub folder: PathBuf,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    /// Threads of one inference; every core that the sandbox has if `EMBEDDING_THREADS` is not set.
    pub threads: usize,
}

impl ModelConfig {
    /// The variable that names the reranker's folder.
    pub const RERANKER_FOLDER: &str = "RERANKER_DIR";

    /// Reads `MODEL_DIR` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        Ok(Self {
            folder: required(
                "MODEL_DIR",
                "the folder of the embedding model, with its manifest.json",
            )?
            .into(),
            library: required(
                "ORT_DYLIB_PATH",
                "the path of ONNX Runtime's shared library",
            )?
            .into(),
            threads: number(
                "EMBEDDING_THREADS",
                thread::available_parallelism().map_or(1, usize::from),
                "must be a whole number from 1 to 64",
                |n| (1..=64).contains(n),
            )?,
        })
    }

    /// The reranker in the folder `RERANKER_DIR`, if that is set; it runs as this model does.
    #[must_use]
    pub fn reranker(&self) -> Option<Self> {
        let folder = optional(Self::RERANKER_FOLDER)?.into();
        Some(Self {
            folder,
            ..self.clone()
        })
    }
}
