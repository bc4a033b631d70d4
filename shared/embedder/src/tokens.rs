//! Token ids of texts: the model's own tokenizer, and how fastembed gets ids instead of texts.

use std::{fmt::Write as _, path::Path};

use tokenizers::{
    EncodeInput, Encoding, PaddingParams, Tokenizer, models::wordlevel::WordLevel,
    pre_tokenizers::whitespace::WhitespaceSplit,
};

use super::{
    EmbedderError,
    files::{cut_at, read, tokenizer},
    unigram::{self, UnigramTokenizer},
};

/// A model's tokenizer, which cuts at the model's maximum of tokens.
pub(crate) struct Tokens {
    kind: Kind,
    /// The padding of a batch's shorter texts.
    padding: u32,
}

enum Kind {
    /// Any kind, described by `tokenizer.json`.
    Json(Box<Tokenizer>),
    /// A prepared unigram vocabulary that needs no parsing.
    Unigram(Box<UnigramTokenizer>),
}

impl Tokens {
    /// The file of a prepared vocabulary, optional beside `tokenizer.json`.
    const PREPARED: &str = "unigram.bin";

    /// The folder's tokenizer: the prepared one if present, else that of `tokenizer.json`.
    pub(crate) fn load(folder: &Path, max_tokens: usize) -> Result<Self, EmbedderError> {
        let path = folder.join(Self::PREPARED);
        if !path.exists() {
            let tokenizer = tokenizer(folder, max_tokens)?;
            return Ok(Self {
                padding: padding(|token| tokenizer.token_to_id(token)),
                kind: Kind::Json(Box::new(tokenizer)),
            });
        }
        let unusable = |error: tokenizers::Error| EmbedderError::Tokenizer {
            path: path.clone(),
            reason: error.to_string(),
        };
        let mut tokenizer = unigram::tokenizer(read(&path)?).map_err(unusable)?;
        tokenizer
            .with_truncation(Some(cut_at(max_tokens)))
            .map_err(unusable)?;
        Ok(Self {
            padding: padding(|token| tokenizer.token_to_id(token)),
            kind: Kind::Unigram(Box::new(tokenizer)),
        })
    }

    /// The tokens of a text; `special` adds the model's special tokens.
    pub(crate) fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>, EmbedderError> {
        let input: EncodeInput = text.into();
        let encoding = match &self.kind {
            Kind::Json(tokenizer) => tokenizer.encode_fast(input, special),
            Kind::Unigram(tokenizer) => tokenizer.encode_fast(input, special),
        };
        let ids = |encoding: Encoding| encoding.get_ids().to_vec();
        encoding.map(ids).map_err(tokenization)
    }

    /// A tokenizer that maps the numerals of `batch` to their numbers as ids: fastembed embeds only texts, and its
    /// tokenizers accept only the vocabularies of their own crate.
    pub(super) fn of_ids(&self, batch: &[&[u32]]) -> Result<Tokenizer, EmbedderError> {
        let ids = batch.iter().copied().flatten().chain([&self.padding]);
        let words = WordLevel::builder()
            .vocab(ids.map(|id| (id.to_string(), *id)).collect())
            .unk_token(self.padding.to_string())
            .build()
            .map_err(tokenization)?;
        let mut tokenizer = Tokenizer::new(words);
        tokenizer.with_pre_tokenizer(Some(WhitespaceSplit));
        tokenizer.with_padding(Some(PaddingParams {
            pad_id: self.padding,
            ..PaddingParams::default()
        }));
        Ok(tokenizer)
    }
}

/// The text that [`Tokens::of_ids`] maps to these ids.
pub(super) fn spelt(ids: &[u32]) -> String {
    let mut text = String::with_capacity(ids.len() * 7);
    for id in ids {
        // Writing to a string cannot fail.
        let _ = write!(text, "{id} ");
    }
    text
}

fn padding(id_of: impl Fn(&str) -> Option<u32>) -> u32 {
    let known = ["<pad>", "[PAD]"].into_iter().find_map(id_of);
    known.unwrap_or_default()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn tokenization(error: tokenizers::Error) -> EmbedderError {
    fastembed::Error::Tokenization(error.to_string()).into()
}
