//! The settings of models.

use std::{path::PathBuf, thread};

use settings::{ConfigError, number, optional, required};

/// The paths of a model and its runtime library.
#[derive(Clone, Debug)]
pub struct ModelConfig {
    /// Folder with `model.onnx`, `tokenizer.json` and `manifest.json`.
    pub folder: PathBuf,
    /// ONNX Runtime's shared library.
    pub library: PathBuf,
    /// Threads of one inference; defaults to the sandbox's cores without `EMBEDDING_THREADS`.
    pub threads: usize,
}

impl ModelConfig {
    /// The variable with the reranker's folder.
    pub const RERANKER_FOLDER: &str = "RERANKER_DIR";

    /// Reads `MODEL_DIR` and the settings around it.
    ///
    /// # Errors
    /// Names the first missing or invalid variable.
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
                cores()?,
                "must be a whole number from 1 to 64",
                |n| (1..=64).contains(n),
            )?,
        })
    }

    /// The reranker in the folder `RERANKER_DIR`, if set; it runs like this model.
    #[must_use]
    pub fn reranker(&self) -> Option<Self> {
        let folder = optional(Self::RERANKER_FOLDER)?.into();
        Some(Self {
            folder,
            ..self.clone()
        })
    }
}

/// Megabytes of memory for which Lambda gives a function one core; the share is proportional.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
const MEGABYTES_OF_ONE_CORE: usize = 1_769;

/// Whole cores of the sandbox. Lambda shows more than it gives, and two threads on one core slow each other down.
fn cores() -> Result<usize, ConfigError> {
    let visible = thread::available_parallelism().map_or(1, usize::from);
    let whole = "must be a whole number of megabytes";
    let memory = number("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", usize::MAX, whole, |_| {
        true
    })?;
    Ok(cores_of(memory).min(visible))
}

fn cores_of(megabytes: usize) -> usize {
    megabytes
        .saturating_add(MEGABYTES_OF_ONE_CORE / 2)
        .div_euclid(MEGABYTES_OF_ONE_CORE)
        .max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_a_core_for_each_1769_megabytes_and_at_least_one() {
        for (megabytes, cores) in [
            (128, 1),
            (1_769, 1),
            (2_048, 1),
            (3_008, 2),
            (3_538, 2),
            (10_240, 6),
        ] {
            assert_eq!(cores_of(megabytes), cores, "{megabytes}");
        }
    }
}
