//! Why a model cannot be used.

use std::path::PathBuf;

/// Why a model could not be loaded or a text not embedded.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The manifest is missing or wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file of the model folder cannot be read.
    #[error("the model's file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// ONNX Runtime's library cannot be loaded.
    #[error("ONNX Runtime cannot be loaded from {} (ORT_DYLIB_PATH): {reason}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// `tokenizer.json` is not one, or the vocabulary prepared from it is not.
    #[error("the tokenizer {} cannot be used: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The model gives other vectors than its manifest says.
    #[error("the model {name} gives {found} dimensions, but its manifest says {expected}")]
    Dimensions {
        /// The model's name.
        name: String,
        /// Dimensions of its output.
        found: usize,
        /// Dimensions of its manifest.
        expected: usize,
    },
    /// The inference failed.
    #[error("the embedding model failed: {0}")]
    Inference(#[from] fastembed::Error),
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not there, or cannot be read.
    #[error("the model folder's {} cannot be read (MODEL_DIR): {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is not a manifest.
    #[error("the model's manifest {} is not valid: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
