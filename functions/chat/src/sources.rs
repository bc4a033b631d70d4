//! The passages that an answer may cite.

use serde::Serialize;
use shared::{Error, State, search::Hit};

use crate::{budget::share, fence::Fence, fields::SourceFields};

/// A passage with the number by which it is cited.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    /// From 1, nearest first: `[1]` in the answer is this source.
    number: usize,
    /// Whether the passage was too long and is cut.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cut: bool,
    #[serde(flatten)]
    hit: Hit,
    /// What the model is told of it beside its title.
    #[serde(skip)]
    fields: Vec<(String, String)>,
}

/// Tokens of the shortest piece of a passage that is worth reading.
const PIECE: usize = 80;

/// Numbers hits, as many as have at most `tokens` tokens together as the model is shown them. One that does
/// not fit is cut, or left out if hardly anything of it would be left; those after it have their turn.
pub(crate) async fn within(
    state: &State,
    hits: Vec<Hit>,
    tokens: usize,
    fields: &SourceFields,
) -> Result<Vec<Source>, Error> {
    let mut sources = numbered(state, hits, fields).await?;
    let fence = Fence::new();
    let counts = state
        .count_tokens(sources.iter().map(|source| source.fenced(&fence)).collect())
        .await?;
    let mut left = tokens;
    let mut counts = counts.into_iter();
    let mut first = true;
    sources.retain_mut(|source| {
        let count = counts.next().unwrap_or_default();
        let fits = source.fit(count, left, first);
        left = left.saturating_sub(fits.unwrap_or_default());
        first &= fits.is_none();
        fits.is_some()
    });
    for (number, source) in (1..).zip(&mut sources) {
        source.number = number;
    }
    Ok(sources)
}

async fn numbered(
    state: &State,
    hits: Vec<Hit>,
    fields: &SourceFields,
) -> Result<Vec<Source>, Error> {
    let ids = hits.iter().map(|hit| hit.document_id.clone()).collect();
    let dates = fields.dates(state, ids).await?;
    let source = |(number, hit): (usize, Hit)| {
        let dates = dates.iter().find(|dates| dates.id == hit.document_id);
        Source {
            number,
            cut: false,
            fields: fields.of(hit.metadata.get(), dates),
            hit,
        }
    };
    Ok((1..).zip(hits).map(source).collect())
}

impl Source {
    /// The source as the model is shown it.
    pub(crate) fn fenced(&self, fence: &Fence) -> String {
        let number = self.number.to_string();
        let mut attributes = vec![
            ("number", number.as_str()),
            ("title", self.hit.title.as_str()),
        ];
        let fields = self.fields.iter();
        attributes.extend(fields.map(|(name, value)| (name.as_str(), value.as_str())));
        fence.around("source", &attributes, &self.hit.content)
    }

    /// Cuts a source of `count` tokens to what is left; `None` if it cannot be shown. The `first` one is
    /// shown in any case.
    fn fit(&mut self, count: usize, left: usize, first: bool) -> Option<usize> {
        if count <= left {
            return Some(count);
        }
        let left = if first { left.max(PIECE) } else { left };
        if left < PIECE {
            return None;
        }
        self.shorten(count, left);
        Some(left)
    }

    /// Cuts the passage, which has `count` tokens, to about `limit`, at a blank.
    pub(crate) fn shorten(&mut self, count: usize, limit: usize) {
        let content = &self.hit.content;
        let characters = share(content, count, limit);
        let Some((end, _)) = content.char_indices().nth(characters) else {
            return;
        };
        let kept = &content[..end];
        let word = kept
            .rfind(char::is_whitespace)
            .filter(|at| at * 2 > kept.len());
        self.hit.content = format!("{} […]", kept[..word.unwrap_or(end)].trim_end());
        self.cut = true;
    }
}
