//! Texts to embeddings, inside the function, by an ONNX model.

pub(crate) mod batches;
pub(crate) mod chunks;
pub(crate) mod files;
mod manifest;
pub(crate) mod runtime;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use fastembed::{
    InitOptionsUserDefined, QuantizationMode, TextEmbedding, UserDefinedEmbeddingModel,
};
use serde::Deserialize;

use self::files::{placeholder_tokenizer, read, tokenizer};

pub use self::{
    chunks::Chunk,
    manifest::{Manifest, ManifestError, Pooling},
};
use crate::config::ModelConfig;

/// The embedding model of a function: one session of ONNX Runtime with its tokenizer.
pub struct Embedder {
    manifest: Manifest,
    model: Mutex<TextEmbedding>,
}

/// What a text is to the search: models embed questions and passages differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A question.
    Query,
    /// A passage that may answer one.
    Passage,
}

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
    /// `tokenizer.json` is not one.
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

impl Embedder {
    /// Loads the model of a folder; the tokenizer is built on a second thread meanwhile.
    ///
    /// # Errors
    /// Names the file or library that is missing or wrong.
    pub fn load(config: &ModelConfig) -> Result<Self, EmbedderError> {
        let manifest = Manifest::read(&config.folder)?;
        let (model, built) = thread::scope(|scope| {
            let building = scope.spawn(|| tokenizer(&config.folder, manifest.max_tokens));
            (load_session(config, &manifest), building.join())
        });
        let mut model = model?;
        model.tokenizer = built.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let embedder = Self {
            manifest,
            model: Mutex::new(model),
        };
        embedder.check_dimensions()?;
        Ok(embedder)
    }

    /// What the model's folder says about it.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Embeds one text: a unit vector of `manifest().dimensions` elements.
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed_one(&self, kind: Kind, text: &str) -> Result<Vec<f32>, EmbedderError> {
        let mut embeddings = self.embed(kind, &[text])?;
        Ok(embeddings.remove(0))
    }

    /// Embeds texts, in their order: one unit vector of `manifest().dimensions` elements each. A
    /// text beyond the model's maximum of tokens is cut; [`Self::chunks`] makes pieces that fit.
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed(&self, kind: Kind, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let prefix = self.manifest.prefix(kind);
        let texts: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let lengths: Vec<usize> = texts.iter().map(String::len).collect();
        let mut embeddings = vec![Vec::new(); texts.len()];
        let mut model = self.model();
        for batch in batches::of(&lengths, self.manifest.max_tokens) {
            let batch_texts: Vec<&str> = batch.iter().map(|&index| texts[index].as_str()).collect();
            for (&index, embedding) in batch.iter().zip(model.embed(&batch_texts, None)?) {
                embeddings[index] = embedding;
            }
        }
        Ok(embeddings)
    }

    /// Splits a document's content into passages that fit the model beside the title, on sentence
    /// borders with an overlap. There is at least one.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn chunks(&self, title: &str, content: &str) -> Result<Vec<Chunk>, EmbedderError> {
        chunks::split(&self.model().tokenizer, &self.manifest, title, content)
    }

    /// Embeds chunks, each with its document's title: see [`Self::embed`].
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed_chunks(&self, chunks: &[(&str, &str)]) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let texts: Vec<String> = chunks
            .iter()
            .map(|(title, chunk)| chunks::titled(title, chunk))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        self.embed(Kind::Passage, &texts)
    }

    /// The tokens of a text of any length, without those that the model adds around it. It is counted in
    /// pieces, which may add a token at each border.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
        // A character has hardly more than one token, so no piece reaches the maximum, where it is cut.
        let piece = self.manifest.max_tokens / 2;
        let characters: Vec<char> = text.chars().collect();
        let model = self.model();
        let count = |piece: &[char]| {
            let piece: String = piece.iter().collect();
            let encoding = model.tokenizer.encode_fast(piece, false);
            encoding.map(|encoding| encoding.len())
        };
        let total = characters
            .chunks(piece)
            .map(count)
            .sum::<Result<usize, _>>();
        Ok(total.map_err(|error| fastembed::Error::Tokenization(error.to_string()))?)
    }

    fn model(&self) -> MutexGuard<'_, TextEmbedding> {
        // The session keeps nothing between two inferences that a panic could leave half done.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_dimensions(&self) -> Result<(), EmbedderError> {
        let found = self.embed_one(Kind::Query, "a")?.len();
        if found == self.manifest.dimensions {
            return Ok(());
        }
        Err(EmbedderError::Dimensions {
            name: self.manifest.name.clone(),
            found,
            expected: self.manifest.dimensions,
        })
    }
}

/// Compares the model with the vectors of its folder's `reference.json`, which another engine made;
/// returns the lowest cosine, or `None` when the folder has no such file.
///
/// # Errors
/// When the file cannot be read or the inference fails.
pub fn fidelity(embedder: &Embedder, folder: &Path) -> Result<Option<Fidelity>, EmbedderError> {
    let path = folder.join("reference.json");
    if !path.exists() {
        return Ok(None);
    }
    let reference: Reference =
        serde_json::from_slice(&read(&path)?).map_err(|error| EmbedderError::File {
            path,
            source: error.into(),
        })?;
    let mut lowest = f32::INFINITY;
    for text in &reference.texts {
        let embedding = embedder.embed_one(text.kind, &text.text)?;
        lowest = lowest.min(cosine(&embedding, &text.embedding));
    }
    Ok(Some(Fidelity {
        lowest,
        required: reference.minimum_cosine,
    }))
}

/// How close a model is to the vectors that another engine made of the same weights.
#[derive(Clone, Copy, Debug)]
pub struct Fidelity {
    /// The lowest cosine of all texts.
    pub lowest: f32,
    /// The lowest that is acceptable.
    pub required: f32,
}

/// The cosine of two vectors of one length, -1 to 1.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[derive(Deserialize)]
struct Reference {
    minimum_cosine: f32,
    texts: Vec<ReferenceText>,
}

#[derive(Deserialize)]
struct ReferenceText {
    text: String,
    kind: Kind,
    embedding: Vec<f32>,
}

fn load_session(config: &ModelConfig, manifest: &Manifest) -> Result<TextEmbedding, EmbedderError> {
    let environment = runtime::environment(&config.library)?;
    let model = UserDefinedEmbeddingModel::new(
        read(&config.folder.join("model.onnx"))?,
        placeholder_tokenizer(),
    )
    .with_pooling(match manifest.pooling {
        Pooling::Mean => fastembed::Pooling::Mean,
        Pooling::Cls => fastembed::Pooling::Cls,
    })
    .with_quantization(QuantizationMode::None);
    let options = InitOptionsUserDefined::new()
        .with_environment(environment)
        .with_max_length(manifest.max_tokens)
        .with_intra_threads(config.threads)
        // Weights in a file beside the graph are mapped, not read: half the start, shared pages.
        .with_session_config(
            "session.model_external_initializers_file_folder_path",
            config.folder.to_string_lossy(),
        );
    Ok(TextEmbedding::try_new_from_user_defined(model, options)?)
}
