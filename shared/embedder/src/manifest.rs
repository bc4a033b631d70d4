//! The manifest of a model's folder.

use std::{fs, path::Path};

use serde::Deserialize;

use super::{Centring, Kind, ManifestError, Recipe, Relevance, centring::CentringEntry};

/// The folder's `manifest.json`: everything needed to use a model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The model's name, stored in its databases.
    pub name: String,
    /// Elements of an embedding, 1 to [`Manifest::MAX_DIMENSIONS`].
    pub dimensions: usize,
    /// How token embeddings are pooled.
    pub pooling: Pooling,
    /// The prefix of a question.
    pub query_prefix: String,
    /// The prefix of a passage.
    pub passage_prefix: String,
    /// Maximum tokens of a text, with prefix and special tokens; the rest is cut.
    pub max_tokens: usize,
    /// The languages it was trained on: a tag such as `en`, or `multilingual`.
    pub language: String,
    /// The probability that a passage answers a question, from their distance and shared words.
    #[serde(default)]
    pub relevance: Relevance,
    #[serde(default, rename = "centring")]
    centring_entry: Option<CentringEntry>,
    #[serde(skip)]
    centring: Option<Centring>,
    #[serde(skip)]
    recipe: String,
}

/// How to pool the embeddings of a text's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The first token's embedding.
    Cls,
}

impl Manifest {
    /// pgvector's HNSW index holds halfvecs of up to 4,000 dimensions, but a row with an in-place embedding must fit an
    /// 8 kB page beside its other columns.
    pub const MAX_DIMENSIONS: usize = 3_072;

    /// With fewer tokens, no passage fits beside the prefix.
    const MIN_TOKENS: usize = 32;

    /// Reads the manifest of a model's folder.
    ///
    /// # Errors
    /// Names the file and the cause.
    pub fn read(folder: &Path) -> Result<Self, ManifestError> {
        let path = folder.join("manifest.json");
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(source) => return Err(ManifestError::Unreadable { path, source }),
        };
        let checked = serde_json::from_slice(&json)
            .map_err(|error| error.to_string())
            .and_then(Self::check);
        let manifest = checked.map_err(|reason| ManifestError::Invalid { path, reason })?;
        let centring = manifest
            .centring_entry
            .as_ref()
            .map(|entry| Centring::read(folder, entry, manifest.dimensions))
            .transpose()?;
        let recipe = Recipe::new(&manifest.name, centring.as_ref()).to_string();
        Ok(Self {
            centring,
            recipe,
            ..manifest
        })
    }

    /// The centring of every embedding, if any.
    #[must_use]
    pub fn centring(&self) -> Option<&Centring> {
        self.centring.as_ref()
    }

    /// The name of this build's [`Recipe`] for the model, stored in its databases.
    #[must_use]
    pub fn recipe(&self) -> &str {
        &self.recipe
    }

    /// The prefix of this kind of text.
    #[must_use]
    pub fn prefix(&self, kind: Kind) -> &str {
        match kind {
            Kind::Query => &self.query_prefix,
            Kind::Passage => &self.passage_prefix,
        }
    }

    fn check(self) -> Result<Self, String> {
        if !(1..=Self::MAX_DIMENSIONS).contains(&self.dimensions) {
            return Err(format!(
                "dimensions is {}, not 1 to {}",
                self.dimensions,
                Self::MAX_DIMENSIONS
            ));
        }
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
        self.relevance.check()?;
        Ok(self)
    }
}
