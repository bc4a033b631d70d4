//! Scores the candidates of a question with a cross-encoder: a model that reads both texts at once.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use fastembed::{RerankInitOptionsUserDefined, TextRerank, UserDefinedRerankingModel};
use serde::{Deserialize, Serialize};

use crate::{
    EmbedderError, ModelConfig, Relevance, batches,
    files::{placeholder_tokenizer, read, tokenizer},
    runtime,
};

/// A cross-encoder: a session of ONNX Runtime with its tokenizer.
pub struct Reranker {
    manifest: Manifest,
    model: Mutex<TextRerank>,
}

/// Errors of loading a reranker or scoring passages.
#[derive(Debug, thiserror::Error)]
pub enum RerankerError {
    /// A file of its folder is missing, or ONNX Runtime or the tokenizer fails to load.
    #[error("the reranker cannot be loaded (RERANKER_DIR): {0}")]
    Folder(#[from] EmbedderError),
    /// The manifest is invalid.
    #[error("the reranker's manifest {} is not valid (RERANKER_DIR): {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// ONNX Runtime rejects the model.
    #[error("the reranker's model {} cannot be used (RERANKER_DIR): {reason}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// The cause.
        reason: String,
    },
    /// The inference failed.
    #[error("the reranker {name} failed: {source}")]
    Inference {
        /// The model's name.
        name: String,
        /// The cause.
        source: fastembed::Error,
    },
    /// A score is infinite or not a number.
    #[error("the reranker {name} gave a score that is not a number")]
    NotANumber {
        /// The model's name.
        name: String,
    },
}

/// The folder's `manifest.json`. An embedding model's has more fields and also works.
#[derive(Deserialize)]
struct Manifest {
    name: String,
    /// Maximum tokens of question and passage, special ones included; the rest is cut.
    max_tokens: usize,
    #[serde(default)]
    relevance: Option<RerankedRelevance>,
}

/// The probability that a passage answers a question, with the reranker's logit as an additional feature.
/// `rappel relevance --rerank` fits the coefficients, for one embedding model and one reranker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RerankedRelevance {
    /// The constant term.
    pub intercept: f64,
    /// The factor of the embeddings' cosine.
    pub similarity: f64,
    /// The factor of the share of the question's words that the passage has, 0 to 1.
    pub coverage: f64,
    /// The factor of the reranker's logit.
    pub logit: f64,
}

impl RerankedRelevance {
    /// The probability, 0 to 1.
    #[must_use]
    pub fn of(&self, distance: f64, coverage: f64, logit: f32) -> f64 {
        let rest = Relevance {
            intercept: self.intercept + self.logit * f64::from(logit),
            similarity: self.similarity,
            coverage: self.coverage,
        };
        rest.of(distance, coverage)
    }
}

impl Manifest {
    /// Fewer tokens cannot hold two texts and their special tokens.
    const MIN_TOKENS: usize = 32;

    fn read(folder: &Path) -> Result<Self, RerankerError> {
        let path = folder.join("manifest.json");
        let json = read(&path)?;
        let manifest = serde_json::from_slice(&json).map_err(|error| error.to_string());
        manifest
            .and_then(Self::check)
            .map_err(|reason| RerankerError::Manifest { path, reason })
    }

    fn check(self) -> Result<Self, String> {
        if self.max_tokens < Self::MIN_TOKENS {
            return Err(format!(
                "max_tokens is {}, less than {}",
                self.max_tokens,
                Self::MIN_TOKENS
            ));
        }
        if self.name.trim().is_empty() {
            return Err("name is empty".to_owned());
        }
        Ok(self)
    }
}

impl Reranker {
    /// Loads the model of a folder: `model.onnx` with one output `logits` of shape `[pairs, 1]`,
    /// `tokenizer.json` and `manifest.json`.
    ///
    /// # Errors
    /// Names the missing or invalid file or library.
    pub fn load(config: &ModelConfig) -> Result<Self, RerankerError> {
        let manifest = Manifest::read(&config.folder)?;
        let tokenizer = tokenizer(&config.folder, manifest.max_tokens)?;
        let options = RerankInitOptionsUserDefined::new()
            .with_environment(runtime::environment(&config.library)?)
            .with_intra_threads(config.threads)
            .with_session_config(runtime::NO_SPINNING.0, runtime::NO_SPINNING.1);
        // ONNX Runtime opens the file itself, to find separate weights beside it.
        let path = config.folder.join("model.onnx");
        let source = UserDefinedRerankingModel::new(path.clone(), placeholder_tokenizer());
        let mut model =
            TextRerank::try_new_from_user_defined(source, options).map_err(|error| {
                RerankerError::Model {
                    path,
                    reason: error.to_string(),
                }
            })?;
        model.tokenizer = tokenizer;
        Ok(Self {
            manifest,
            model: Mutex::new(model),
        })
    }

    /// The coefficients for its logits, if its manifest has them.
    #[must_use]
    pub fn relevance(&self) -> Option<RerankedRelevance> {
        self.manifest.relevance
    }

    /// Scores passages for a question, in order: logits, the higher the better. Beyond the model's tokens, the end of
    /// the longer text is cut.
    ///
    /// # Errors
    /// When the inference fails.
    pub fn rerank(&self, question: &str, passages: &[String]) -> Result<Vec<f32>, RerankerError> {
        let tokens = |passage: &String| {
            // No tokenizer averages less than one token per four bytes of running text.
            let tokens = (question.len() + passage.len()) / 4 + 2;
            tokens.min(self.manifest.max_tokens)
        };
        let tokens: Vec<usize> = passages.iter().map(tokens).collect();
        let mut scores = vec![0.0; passages.len()];
        // The session keeps no state between inferences that a panic could corrupt.
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in batches::of(&tokens) {
            let texts: Vec<&str> = batch
                .iter()
                .map(|&index| passages[index].as_str())
                .collect();
            let results = model
                .rerank(question, &texts, false, Some(batch.len()))
                .map_err(|source| RerankerError::Inference {
                    name: self.manifest.name.clone(),
                    source,
                })?;
            for result in results {
                scores[batch[result.index]] = result.score;
            }
        }
        if scores.iter().all(|score| score.is_finite()) {
            Ok(scores)
        } else {
            Err(RerankerError::NotANumber {
                name: self.manifest.name.clone(),
            })
        }
    }
}
