//! Embeds texts inside the function with an ONNX model.

pub mod batches;
mod centring;
mod chunks;
mod config;
mod error;
mod files;
mod kind;
mod manifest;
mod outline;
mod recipe;
mod relevance;
mod reranker;
mod runtime;
mod tokens;
mod unigram;

use std::{
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use fastembed::{
    InitOptionsUserDefined, QuantizationMode, TextEmbedding, UserDefinedEmbeddingModel,
};
use serde::Deserialize;

pub use self::{
    centring::Centring,
    chunks::{Chunk, titled},
    config::ModelConfig,
    error::{EmbedderError, ManifestError},
    kind::Kind,
    manifest::{Manifest, Pooling},
    recipe::Recipe,
    relevance::Relevance,
    reranker::{RerankedRelevance, Reranker, RerankerError},
};
use self::{
    files::{placeholder_tokenizer, read},
    tokens::Tokens,
};

/// The function's embedding model: a session of ONNX Runtime with its tokenizer.
pub struct Embedder {
    manifest: Manifest,
    tokens: Tokens,
    model: Mutex<TextEmbedding>,
    /// Tokens that the model has read.
    read: AtomicU64,
}

impl Embedder {
    /// Loads the model of a folder, and builds the tokenizer on a second thread meanwhile.
    ///
    /// # Errors
    /// Names the missing or invalid file or library.
    pub fn load(config: &ModelConfig) -> Result<Self, EmbedderError> {
        let manifest = Manifest::read(&config.folder)?;
        let (model, tokens) = thread::scope(|scope| {
            let loading = scope.spawn(|| Tokens::load(&config.folder, manifest.max_tokens));
            (load_session(config, &manifest), loading.join())
        });
        let embedder = Self {
            manifest,
            tokens: tokens.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            model: Mutex::new(model?),
            read: AtomicU64::new(0),
        };
        embedder.check_dimensions()?;
        Ok(embedder)
    }

    /// The manifest of the model's folder.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The tokens that the model has read since it was loaded.
    #[must_use]
    pub fn tokens_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Embeds one text: a unit vector of `manifest().dimensions` elements.
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed_one(&self, kind: Kind, text: &str) -> Result<Vec<f32>, EmbedderError> {
        let mut embeddings = self.embed(kind, &[text])?;
        Ok(embeddings.remove(0))
    }

    /// Embeds texts in order: one unit vector of `manifest().dimensions` elements each, centred if the manifest says
    /// so. A text beyond the model's maximum of tokens is cut; [`Self::chunks`] makes pieces that fit.
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed(&self, kind: Kind, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let mut embeddings = self.embed_uncentred(kind, texts)?;
        if let Some(centring) = self.manifest.centring() {
            for embedding in &mut embeddings {
                centring.apply(kind, embedding);
            }
        }
        Ok(embeddings)
    }

    /// The same embeddings without centring: the input of a [`Centring`].
    ///
    /// # Errors
    /// When the inference fails.
    pub fn embed_uncentred(
        &self,
        kind: Kind,
        texts: &[&str],
    ) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let prefix = self.manifest.prefix(kind);
        let ids = texts
            .iter()
            .map(|text| self.tokenize(&format!("{prefix}{text}")))
            .collect::<Result<Vec<_>, _>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let tokens = lengths.iter().sum::<usize>() as u64;
        self.read.fetch_add(tokens, Ordering::Relaxed);
        let mut embeddings = vec![Vec::new(); texts.len()];
        for batch in batches::of(&lengths) {
            let batch_ids: Vec<&[u32]> = batch.iter().map(|&index| &*ids[index]).collect();
            for (&index, embedding) in batch.iter().zip(self.infer(&batch_ids)?) {
                embeddings[index] = embedding;
            }
        }
        Ok(embeddings)
    }

    /// Splits a document's content into at least one passage that fits the model beside the title, at sentence borders
    /// and with an overlap.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn chunks(&self, title: &str, content: &str) -> Result<Vec<Chunk>, EmbedderError> {
        chunks::split(&self.tokens, &self.manifest, title, content)
    }

    /// The ids of a text's tokens as the model reads them: with special tokens, cut at its maximum.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>, EmbedderError> {
        self.tokens.encode(text, true)
    }

    /// The number of tokens of a text of any length, without special tokens. It counts in pieces, which may add a token
    /// at each border.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn count_tokens(&self, text: &str) -> Result<usize, EmbedderError> {
        // A character rarely has more than one token, so no piece reaches the maximum, where it would be cut.
        let piece = self.manifest.max_tokens / 2;
        let characters: Vec<char> = text.chars().collect();
        let count = |piece: &[char]| {
            let piece: String = piece.iter().collect();
            self.tokens.encode(&piece, false).map(|ids| ids.len())
        };
        characters.chunks(piece).map(count).sum()
    }

    /// One inference: embeds the texts of `batch`.
    fn infer(&self, batch: &[&[u32]]) -> Result<Vec<Vec<f32>>, EmbedderError> {
        let texts: Vec<String> = batch.iter().map(|ids| tokens::spelt(ids)).collect();
        let tokenizer = self.tokens.of_ids(batch)?;
        // The session keeps no state between inferences that a panic could corrupt.
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        model.tokenizer = tokenizer;
        Ok(model.embed(&texts, None)?)
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

/// Compares the model, with and without centring, with the vectors of its folder's `reference.json`, made by another
/// engine; `None` if the folder has no such file.
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
    let mut fidelity = Fidelity {
        lowest: f32::INFINITY,
        required: reference.minimum_cosine,
        lowest_centred: f32::INFINITY,
        required_centred: reference.minimum_cosine_centred,
    };
    for mut text in reference.texts {
        let uncentred = embedder
            .embed_uncentred(text.kind, &[&text.text])?
            .remove(0);
        fidelity.lowest = fidelity.lowest.min(cosine(&uncentred, &text.embedding));
        if let Some(centring) = embedder.manifest().centring() {
            centring.apply(text.kind, &mut text.embedding);
        }
        let embedding = embedder.embed_one(text.kind, &text.text)?;
        let centred = cosine(&embedding, &text.embedding);
        fidelity.lowest_centred = fidelity.lowest_centred.min(centred);
    }
    Ok(Some(fidelity))
}

/// How close a model is to another engine's vectors from the same weights.
#[derive(Clone, Copy, Debug)]
pub struct Fidelity {
    /// The lowest cosine of all texts, without centring.
    pub lowest: f32,
    /// The lowest acceptable one.
    pub required: f32,
    /// The lowest cosine of all texts with centring, which amplifies differences.
    pub lowest_centred: f32,
    /// The lowest acceptable one.
    pub required_centred: f32,
}

impl Fidelity {
    /// Whether the model is close enough to be used.
    #[must_use]
    pub fn suffices(&self) -> bool {
        self.lowest >= self.required && self.lowest_centred >= self.required_centred
    }
}

/// The cosine of two vectors of equal length, -1 to 1.
#[must_use]
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[derive(Deserialize)]
struct Reference {
    minimum_cosine: f32,
    /// The minimum of a cosine.
    #[serde(default = "minimum")]
    minimum_cosine_centred: f32,
    texts: Vec<ReferenceText>,
}

#[derive(Deserialize)]
struct ReferenceText {
    text: String,
    kind: Kind,
    embedding: Vec<f32>,
}

fn minimum() -> f32 {
    -1.0
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
        .with_session_config(runtime::NO_SPINNING.0, runtime::NO_SPINNING.1)
        // Weights in a file beside the graph are mapped, not read: half the start, shared pages.
        .with_session_config(
            "session.model_external_initializers_file_folder_path",
            config.folder.to_string_lossy(),
        );
    Ok(TextEmbedding::try_new_from_user_defined(model, options)?)
}
