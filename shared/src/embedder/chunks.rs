//! Documents to passages that fit the model.

use text_splitter::{ChunkConfig, ChunkSizer, TextSplitter};
use tokenizers::Tokenizer;

use super::{EmbedderError, Manifest, manifest};

/// A passage of a document's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins, in characters from 0.
    pub start: usize,
    /// Its text, at most as many tokens as the model takes.
    pub content: String,
}

/// The part of a passage that the next one repeats, so that a sentence at the border is found with
/// what precedes it: one tenth, the usual choice of such splitters.
const OVERLAP: f64 = 0.1;

/// Tokens left free, because a prefix and a text have together at most one token more than apart.
const MARGIN: usize = 2;

/// Splits `content` on the largest borders that fit beside `title`: paragraphs, sentences, words.
pub(super) fn split(
    tokenizer: &Tokenizer,
    manifest: &Manifest,
    title: &str,
    content: &str,
) -> Result<Vec<Chunk>, EmbedderError> {
    let sizer = TokenSizer { tokenizer };
    let overhead = tokenizer
        .encode_fast(
            format!("{}{}", manifest.passage_prefix, titled(title, "")),
            true,
        )
        .map_err(|error| fastembed::Error::Tokenization(error.to_string()))?
        .len();
    let capacity = manifest.max_tokens - overhead.min(manifest.max_tokens / 2) - MARGIN;
    if sizer.size(content) <= capacity {
        let before = content.len() - content.trim_start().len();
        return Ok(vec![Chunk {
            start: content[..before].chars().count(),
            content: content.trim().to_owned(),
        }]);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a tenth of a few hundred tokens"
    )]
    let overlap = (capacity as f64 * OVERLAP) as usize;
    let config = ChunkConfig::new(capacity)
        .with_sizer(sizer)
        .with_overlap(overlap)
        .map_err(|error| invalid(manifest, &error))?;
    Ok(TextSplitter::new(config)
        .chunk_char_indices(content)
        .map(|found| Chunk {
            start: found.char_offset,
            content: found.chunk.to_owned(),
        })
        .collect())
}

/// The text that is embedded for a chunk: the document's title stands above it, because many passages
/// do not name what they are about.
pub(super) fn titled(title: &str, chunk: &str) -> String {
    match heading(title) {
        "" => chunk.to_owned(),
        heading => format!("{heading}\n{chunk}"),
    }
}

/// As much of a title as leaves the model most of its tokens for the chunk.
fn heading(title: &str) -> &str {
    const CHARACTERS: usize = 200;
    let title = title.trim();
    title
        .char_indices()
        .nth(CHARACTERS)
        .map_or(title, |(end, _)| &title[..end])
}

/// Counts with the model's own tokenizer. It cuts at the model's maximum, which is above every
/// capacity asked of it, so a count at the maximum only says "does not fit", as it must.
struct TokenSizer<'t> {
    tokenizer: &'t Tokenizer,
}

impl ChunkSizer for TokenSizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        // A text that cannot be tokenized counts as too long: it is split until it can be.
        self.tokenizer
            .encode_fast(chunk, false)
            .map_or(usize::MAX, |encoding| encoding.len())
    }
}

fn invalid(manifest: &Manifest, error: &dyn std::fmt::Display) -> EmbedderError {
    manifest::ManifestError::Invalid {
        path: manifest.name.clone().into(),
        reason: error.to_string(),
    }
    .into()
}
