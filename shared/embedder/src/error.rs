//! Errors of models.

use std::path::PathBuf;

/// Errors of loading a model or embedding a text.
#[derive(Debug, thiserror::Error)]
pub enum EmbedderError {
    /// The manifest is missing or invalid.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A file of the model folder cannot be read.
    #[error("the model's file {} cannot be read: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// ONNX Runtime's library cannot be loaded.
    #[error("ONNX Runtime cannot be loaded from {} (ORT_DYLIB_PATH): {reason}", path.display())]
    Library {
        /// The library.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// `tokenizer.json`, or the vocabulary prepared from it, is invalid.
    #[error("the tokenizer {} cannot be used: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The model's vectors differ from its manifest.
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

/// Errors of the manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is missing or unreadable.
    #[error("the model folder's {} cannot be read (MODEL_DIR): {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// It is not a valid manifest.
    #[error("the model's manifest {} is not valid: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
}
