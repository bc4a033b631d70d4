//! The passages that an answer may cite.

use serde::Serialize;
use shared::{Error, State, search::Hit};

/// A passage with the number by which it is cited.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    /// From 1, nearest first: `[1]` in the answer is this source.
    number: usize,
    #[serde(flatten)]
    hit: Hit,
}

/// What the model is shown of a source.
#[derive(Serialize)]
struct Shown<'a> {
    source: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    text: &'a str,
}

/// Numbers hits, as many as have at most `tokens` tokens together; the first one is there in any case.
pub(crate) async fn within(
    state: &State,
    hits: Vec<Hit>,
    tokens: usize,
) -> Result<Vec<Source>, Error> {
    let contents = hits.iter().map(|hit| hit.content.clone()).collect();
    let counts = state.count_tokens(contents).await?;
    let mut total = 0;
    let fit = counts
        .iter()
        .take_while(|count| {
            total += **count;
            total <= tokens
        })
        .count();
    Ok((1..)
        .zip(hits)
        .take(fit.max(1))
        .map(|(number, hit)| Source { number, hit })
        .collect())
}

impl Source {
    /// The source as a line of JSON. A line break or quotation mark in it is escaped, so that nothing
    /// inside can look like the end of the passage.
    pub(crate) fn fenced(&self) -> String {
        let shown = Shown {
            source: self.number,
            title: &self.hit.title,
            text: &self.hit.content,
        };
        serde_json::to_string(&shown).unwrap_or_default()
    }
}
