//! Passages of documents that fit the model.

use text_splitter::{ChunkConfig, ChunkConfigError, ChunkSizer, MarkdownSplitter, TextSplitter};

use super::{EmbedderError, Manifest, ManifestError, outline::Outline, tokens::Tokens};

/// A passage of a document's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its start, in characters from 0.
    pub start: usize,
    /// The headings above it, or the columns of its table; may be empty.
    pub heading: String,
    /// Its text, limited to the model's maximum of tokens and 4,000 characters.
    pub content: String,
}

/// The share of a passage that the next one repeats, so that a sentence at the border keeps its context.
/// docs/decisions/chunks.md compares none, a tenth and a quarter.
const OVERLAP: f64 = 0.1;

/// Maximum characters of a passage. A token has four or five characters on average, so prose reaches the model's
/// maximum first; but a run of blanks or an endless word may be a single token.
const MAX_CHARACTERS: usize = 4_000;

/// Tokens left free, because prefix and text together have up to one token more than separately.
const MARGIN: usize = 2;

/// The share of a chunk's tokens that its heading may take.
const HEADING: f64 = 0.2;

/// Tokens of a piece of a long table. A row has few words to be found by, and an embedding of as many rows as
/// fit would lose them.
const TABLE_TOKENS: usize = 128;

/// Splits `content` at the largest borders that fit beside `title`: sections of Markdown, so that a heading stays with
/// its text, paragraphs, sentences, words; and long tables between rows.
pub(super) fn split(
    tokens: &Tokens,
    manifest: &Manifest,
    title: &str,
    content: &str,
) -> Result<Vec<Chunk>, EmbedderError> {
    let sizer = TokenSizer { tokens };
    let around = format!("{}{}", manifest.passage_prefix, titled(title, "", ""));
    let overhead = tokens.encode(&around, true)?.len();
    let capacity = manifest.max_tokens - overhead.min(manifest.max_tokens / 2) - MARGIN;
    if (&sizer).size(content.trim()) <= capacity {
        let before = content.len() - content.trim_start().len();
        return Ok(vec![Chunk {
            start: content[..before].chars().count(),
            heading: String::new(),
            content: content.trim().to_owned(),
        }]);
    }
    let outline = Outline::of(content);
    let size = |heading: &str| (&sizer).size(heading);
    let reserved = outline.longest(size).min(share(capacity, HEADING));
    let splitter = Splitter {
        sizer: &sizer,
        capacity: capacity - reserved,
        markdown: outline.has_headings(),
    };
    let mut chunks = Vec::new();
    for part in outline.parts(content.len()) {
        let text = &content[part.range.clone()];
        let pieces = if part.is_table {
            splitter.rows(text)
        } else {
            splitter.prose(text)
        };
        for (at, piece) in pieces.map_err(|error| invalid(manifest, &error))? {
            let at = part.range.start + at;
            let heading = outline.heading(at, |heading| size(heading) <= reserved);
            chunks.push((at, heading, piece));
        }
    }
    Ok(in_characters(content, chunks))
}

/// Converts the start of chunks from bytes to characters.
fn in_characters(content: &str, chunks: Vec<(usize, String, String)>) -> Vec<Chunk> {
    let (mut bytes, mut characters) = (0, 0);
    let chunk = |(at, heading, piece): (usize, String, String)| {
        // It may start before the end of the previous chunk, but not before its start.
        characters += content[bytes..at].chars().count();
        bytes = at;
        Chunk {
            start: characters,
            heading,
            content: piece,
        }
    };
    chunks.into_iter().map(chunk).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of a few hundred tokens"
)]
fn share(capacity: usize, share: f64) -> usize {
    (capacity as f64 * share) as usize
}

/// Pieces of a text, each with its first byte.
type Pieces = Result<Vec<(usize, String)>, ChunkConfigError>;

/// How to split the parts of a document.
struct Splitter<'t> {
    sizer: &'t TokenSizer<'t>,
    capacity: usize,
    markdown: bool,
}

impl Splitter<'_> {
    fn prose(&self, text: &str) -> Pieces {
        let config = ChunkConfig::new(self.capacity)
            .with_sizer(self.sizer)
            .with_overlap(share(self.capacity, OVERLAP))?;
        let piece = |start: usize, (at, piece): (usize, &str)| (start + at, piece.to_owned());
        let mut pieces = Vec::new();
        if self.markdown {
            let splitter = MarkdownSplitter::new(config);
            for (start, stretch) in stretches(text) {
                pieces.extend(
                    splitter
                        .chunk_indices(stretch)
                        .map(|found| piece(start, found)),
                );
            }
        } else {
            let splitter = TextSplitter::new(config);
            for (start, stretch) in stretches(text) {
                pieces.extend(
                    splitter
                        .chunk_indices(stretch)
                        .map(|found| piece(start, found)),
                );
            }
        }
        Ok(pieces)
    }

    /// Rows of a table, as many per piece as fit, but at least one; a row that is too long is split like text.
    fn rows(&self, table: &str) -> Pieces {
        let capacity = self.capacity.min(TABLE_TOKENS);
        let mut pieces = Vec::new();
        let (mut start, mut end, mut used) = (0, 0, 0_usize);
        for row in table.split_inclusive('\n').chain([""]) {
            let tokens = self.sizer.size(row);
            // The size of a row of too many characters is the largest number.
            if row.is_empty() || (used > 0 && used.saturating_add(tokens) > capacity) {
                let piece = table[start..end].trim_end();
                // Rows of few tokens may have many characters: those that align their columns.
                if self.sizer.size(piece) > self.capacity {
                    let parts = self.prose(piece)?.into_iter();
                    pieces.extend(parts.map(|(at, part)| (start + at, part)));
                } else if !piece.is_empty() {
                    pieces.push((start, piece.to_owned()));
                }
                (start, used) = (end, 0);
            }
            end += row.len();
            used = used.saturating_add(tokens);
        }
        Ok(pieces)
    }
}

/// The parts of a content between long runs of white space, each with its first byte. Finding sentences around such a
/// run takes eight seconds for 10,000 blanks after a full stop, and ten times that for twice as many.
fn stretches(content: &str) -> Vec<(usize, &str)> {
    const LONG: usize = 100;
    let mut stretches = Vec::new();
    let mut begin = 0;
    // The start of the run, and its number of characters.
    let mut run = (0, 0);
    for (at, character) in content.char_indices() {
        if character.is_whitespace() {
            if run.1 == 0 {
                run.0 = at;
            }
            run.1 += 1;
            continue;
        }
        if run.1 > LONG {
            stretches.push((begin, &content[begin..run.0]));
            begin = at;
        }
        run.1 = 0;
    }
    stretches.push((begin, content[begin..].trim_end()));
    stretches.retain(|(_, stretch)| !stretch.is_empty());
    stretches
}

/// The text to embed or rerank for a chunk, below the document's title and the chunk's heading, because many passages
/// do not name their subject.
#[must_use]
pub fn titled(title: &str, heading: &str, chunk: &str) -> String {
    let lines = [beginning(title), heading, chunk].into_iter();
    let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

/// The part of a title that leaves most of the model's tokens for the chunk.
fn beginning(title: &str) -> &str {
    const CHARACTERS: usize = 200;
    let title = title.trim();
    title
        .char_indices()
        .nth(CHARACTERS)
        .map_or(title, |(end, _)| &title[..end])
}

/// Counts with the model's own tokenizer. It cuts at the model's maximum, which exceeds every requested capacity, so a
/// count at the maximum only means "does not fit".
struct TokenSizer<'t> {
    tokens: &'t Tokens,
}

impl ChunkSizer for &TokenSizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        if chunk.chars().nth(MAX_CHARACTERS).is_some() {
            return usize::MAX;
        }
        // A text that cannot be tokenized counts as too long, so it is split until it can.
        self.tokens
            .encode(chunk, false)
            .map_or(usize::MAX, |ids| ids.len())
    }
}

fn invalid(manifest: &Manifest, error: &dyn std::fmt::Display) -> EmbedderError {
    ManifestError::Invalid {
        path: manifest.name.clone().into(),
        reason: error.to_string(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_of_white_space_divide_a_content() {
        let long = " \n".repeat(60);
        let content = format!("{long}été.  Un{long}deux\n\ntrois{long}");
        let found = stretches(&content);
        assert_eq!(found, [(120, "été.  Un"), (250, "deux\n\ntrois")]);
        for (start, stretch) in found {
            assert!(content[start..].starts_with(stretch));
        }
        assert_eq!(stretches("a b"), [(0, "a b")]);
        assert_eq!(stretches(&long), []);
    }

    #[test]
    fn a_title_stands_above_its_chunk_and_a_long_one_is_cut() {
        assert_eq!(titled(" Phare ", "", "La clé."), "Phare\nLa clé.");
        assert_eq!(titled(" ", "", "La clé."), "La clé.");
        let long = titled(&"é".repeat(1_000), "", "x");
        assert_eq!(long.chars().count(), 200 + 2);
    }
}
