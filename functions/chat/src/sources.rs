//! The passages that an answer may cite.

use retrieval::Hit;
use schemars::JsonSchema;
use serde::Serialize;
use shared::Error;

use crate::{cut::share, fence::Fence, request::Chat, state::ChatState};

/// A passage with its citation number.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatSource {
    /// From 1, nearest first: `[1]` in the answer is this source.
    number: usize,
    /// Whether a long passage was cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(flatten)]
    hit: Hit,
    /// Fields for the model beside the title.
    #[serde(skip)]
    fields: Vec<(String, String)>,
}

/// The fewest tokens of a useful piece of a passage.
const PIECE: usize = 80;

/// Numbers hits that fit `tokens` tokens together in the prompt. If they have more, cuts the longest to one length,
/// and drops the last ones only if too little would remain. Always keeps the first one.
pub(crate) async fn within(
    state: &ChatState,
    hits: Vec<Hit>,
    tokens: usize,
    chat: &Chat,
) -> Result<Vec<ChatSource>, Error> {
    let mut sources = numbered(state, hits, chat).await?;
    let fence = Fence::new();
    let counts = state
        .search
        .embedder
        .count_tokens(sources.iter().map(|source| source.fenced(&fence)).collect())
        .await?;
    let mut kept = sources.len();
    while kept > 1 && longest(&counts[..kept], tokens) < PIECE {
        kept -= 1;
    }
    sources.truncate(kept);
    let longest = longest(&counts[..kept], tokens).max(PIECE);
    for (source, count) in sources.iter_mut().zip(counts) {
        if count > longest {
            source.shorten(count, longest, chat.expand);
        }
    }
    Ok(sources)
}

/// The length to which to cut longer ones so that all have at most `total` together.
fn longest(lengths: &[usize], total: usize) -> usize {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let mut left = total;
    for (at, length) in sorted.iter().enumerate() {
        let share = left / (sorted.len() - at);
        if *length > share {
            return share;
        }
        left -= length;
    }
    usize::MAX
}

async fn numbered(
    state: &ChatState,
    hits: Vec<Hit>,
    chat: &Chat,
) -> Result<Vec<ChatSource>, Error> {
    let ids = hits.iter().map(|hit| hit.document_id.clone()).collect();
    let fields = &chat.source_fields;
    let dates = fields.dates(state, &chat.visibility, ids).await?;
    let source = |(number, hit): (usize, Hit)| {
        let dates = dates.iter().find(|dates| dates.id == hit.document_id);
        ChatSource {
            number,
            cut: false,
            fields: fields.of(hit.metadata.get(), dates),
            hit,
        }
    };
    Ok((1..).zip(hits).map(source).collect())
}

impl ChatSource {
    /// The source in the prompt.
    pub(crate) fn fenced(&self, fence: &Fence) -> String {
        let number = self.number.to_string();
        let mut attributes = vec![
            ("number", number.as_str()),
            ("title", self.hit.title.as_str()),
        ];
        if !self.hit.heading.is_empty() {
            attributes.push(("heading", self.hit.heading.as_str()));
        }
        let fields = self.fields.iter();
        attributes.extend(fields.map(|(name, value)| (name.as_str(), value.as_str())));
        fence.around("source", &attributes, &self.hit.content)
    }

    /// Cuts the passage of `count` tokens to about `limit`, around the chunk that was found: it is in the middle of
    /// `expand` neighbours on each side, or nearer to the beginning.
    pub(crate) fn shorten(&mut self, count: usize, limit: usize, expand: usize) {
        let characters: Vec<char> = self.hit.content.chars().collect();
        let kept = share(&self.hit.content, count, limit);
        if kept >= characters.len() {
            return;
        }
        let before = usize::try_from(self.hit.chunk)
            .unwrap_or_default()
            .min(expand);
        let middle = characters.len() * (2 * before + 1) / (2 * (before + 1 + expand));
        let start = middle.saturating_sub(kept / 2).min(characters.len() - kept);
        let (start, end) = between_words(&characters, start, start + kept);
        let piece: String = characters[start..end].iter().collect();
        let gap = |there| if there { "[…]" } else { "" };
        let parts = [gap(start > 0), piece.trim(), gap(end < characters.len())];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        self.hit.content = parts.collect::<Vec<_>>().join(" ");
        self.cut = true;
    }
}

/// The range without partial words, if they are short.
fn between_words(characters: &[char], start: usize, end: usize) -> (usize, usize) {
    const WORD: usize = 40;
    let blank = |at: &usize| characters[*at].is_whitespace();
    let first = if start == 0 {
        Some(0)
    } else {
        (start..end.min(start + WORD)).find(blank)
    };
    let last = if end == characters.len() {
        Some(end)
    } else {
        (start.max(end.saturating_sub(WORD))..end).rev().find(blank)
    };
    let (first, last) = (first.unwrap_or(start), last.unwrap_or(end));
    if first < last {
        (first, last)
    } else {
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_are_cut_to_one_length() {
        assert_eq!(longest(&[190, 190, 40], 300), 130);
        assert_eq!(longest(&[10_000; 3], 6_000), 2_000);
        assert_eq!(longest(&[10, 20], 30), usize::MAX);
        assert_eq!(longest(&[50], 5), 5);
        assert_eq!(longest(&[], 5), usize::MAX);
    }

    #[test]
    fn a_range_is_cut_between_words() {
        let text: Vec<char> = "un deux trois quatre".chars().collect();
        assert_eq!(between_words(&text, 1, 10), (2, 7));
        assert_eq!(between_words(&text, 0, 20), (0, 20));
        let one: Vec<char> = "é".repeat(90).chars().collect();
        assert_eq!(between_words(&one, 10, 80), (10, 80));
    }
}
