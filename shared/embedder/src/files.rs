//! The files of a model's folder, and its tokenizer.

use std::{fs, path::Path};

use fastembed::TokenizerFiles;
use tokenizers::{PaddingParams, Tokenizer, TruncationParams};

use super::EmbedderError;

/// Reads a file of a model's folder.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, EmbedderError> {
    fs::read(path).map_err(|source| EmbedderError::File {
        path: path.to_owned(),
        source,
    })
}

/// The folder's tokenizer, which cuts at `max_tokens`, special tokens included, and pads a batch to its longest text.
/// It cuts the longer text of a pair first.
pub(crate) fn tokenizer(folder: &Path, max_tokens: usize) -> Result<Tokenizer, EmbedderError> {
    let path = folder.join("tokenizer.json");
    let unusable = |error: tokenizers::Error| EmbedderError::Tokenizer {
        path: path.clone(),
        reason: error.to_string(),
    };
    let mut tokenizer = Tokenizer::from_bytes(read(&path)?).map_err(unusable)?;
    let pad = ["<pad>", "[PAD]"]
        .into_iter()
        .find_map(|token| Some((token, tokenizer.token_to_id(token)?)));
    let (pad_token, pad_id) = pad.unwrap_or(("[PAD]", 0));
    tokenizer
        .with_truncation(Some(cut_at(max_tokens)))
        .map_err(unusable)?;
    tokenizer.with_padding(Some(PaddingParams {
        pad_id,
        pad_token: pad_token.to_owned(),
        ..PaddingParams::default()
    }));
    Ok(tokenizer)
}

/// Cuts at the model's maximum, special tokens included. It cuts the longer text of a pair first.
pub(super) fn cut_at(max_tokens: usize) -> TruncationParams {
    TruncationParams {
        max_length: max_tokens,
        ..TruncationParams::default()
    }
}

/// fastembed always builds its own tokenizer with a model; it gets the smallest possible one, and ours replaces it.
pub(crate) fn placeholder_tokenizer() -> TokenizerFiles {
    let tokenizer = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":null,"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","unk_token":"?","vocab":{"?":0}}}"#;
    TokenizerFiles {
        tokenizer_file: tokenizer.into(),
        config_file: br#"{"pad_token_id":0}"#.into(),
        special_tokens_map_file: b"{}".into(),
        tokenizer_config_file: br#"{"model_max_length":512,"pad_token":"?"}"#.into(),
    }
}
