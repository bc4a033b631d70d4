//! Documents to passages that fit the model.

use text_splitter::{ChunkCharIndex, ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use super::{EmbedderError, Manifest, manifest, tokens::Tokens};

/// A passage of a document's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins, in characters from 0.
    pub start: usize,
    /// Its text, at most as many tokens as the model takes and 4,000 characters.
    pub content: String,
}

/// The part of a passage that the next one repeats, so that a sentence at the border is found with
/// what precedes it. ARCHITECTURE.md has what none, a tenth and a quarter were measured to be worth.
const OVERLAP: f64 = 0.1;

/// Characters of the longest passage. A model's tokens have four or five characters on average, so prose reaches
/// the model's maximum before; a run of blanks or a word of endless length may be one token, however long it is.
const MAX_CHARACTERS: usize = 4_000;

/// Tokens left free, because a prefix and a text have together at most one token more than apart.
const MARGIN: usize = 2;

/// Splits `content` on the largest borders that fit beside `title`: the sections of Markdown, so that a
/// heading stays with what it is about, paragraphs, sentences, words.
pub(super) fn split(
    tokens: &Tokens,
    manifest: &Manifest,
    title: &str,
    content: &str,
) -> Result<Vec<Chunk>, EmbedderError> {
    let sizer = TokenSizer { tokens };
    let around = format!("{}{}", manifest.passage_prefix, titled(title, ""));
    let overhead = tokens.encode(&around, true)?.len();
    let capacity = manifest.max_tokens - overhead.min(manifest.max_tokens / 2) - MARGIN;
    if sizer.size(content.trim()) <= capacity {
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
    Ok(if has_headings(content) {
        let splitter = MarkdownSplitter::new(config);
        splitter.chunk_char_indices(content).map(chunk).collect()
    } else {
        let splitter = TextSplitter::new(config);
        splitter.chunk_char_indices(content).map(chunk).collect()
    })
}

fn chunk(found: ChunkCharIndex<'_>) -> Chunk {
    Chunk {
        start: found.char_offset,
        content: found.chunk.to_owned(),
    }
}

/// Whether a line is a Markdown heading: one to six `#` and a blank.
fn has_headings(content: &str) -> bool {
    content.lines().any(|line| {
        let level = line.len() - line.trim_start_matches('#').len();
        (1..=6).contains(&level) && line[level..].starts_with(' ')
    })
}

/// The text that is embedded, or reranked, for a chunk: the document's title stands above it, because many passages
/// do not name what they are about.
pub(crate) fn titled(title: &str, chunk: &str) -> String {
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
    tokens: &'t Tokens,
}

impl ChunkSizer for TokenSizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        if chunk.chars().nth(MAX_CHARACTERS).is_some() {
            return usize::MAX;
        }
        // A text that cannot be tokenized counts as too long: it is split until it can be.
        self.tokens
            .encode(chunk, false)
            .map_or(usize::MAX, |ids| ids.len())
    }
}

fn invalid(manifest: &Manifest, error: &dyn std::fmt::Display) -> EmbedderError {
    manifest::ManifestError::Invalid {
        path: manifest.name.clone().into(),
        reason: error.to_string(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_is_a_line_of_its_own_with_a_blank_behind_the_marks() {
        for (content, heading) in [
            ("# Titre\ntexte", true),
            ("texte\n\n### Sous-titre", true),
            ("#hashtag et suite", false),
            ("####### sept", false),
            ("le n° # 3", false),
            ("", false),
        ] {
            assert_eq!(has_headings(content), heading, "{content:?}");
        }
    }

    #[test]
    fn a_title_stands_above_its_chunk_and_a_long_one_is_cut() {
        assert_eq!(titled(" Phare ", "La clé."), "Phare\nLa clé.");
        assert_eq!(titled(" ", "La clé."), "La clé.");
        let long = titled(&"é".repeat(1_000), "x");
        assert_eq!(long.chars().count(), 200 + 2);
    }
}
