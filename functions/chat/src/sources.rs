//! The passages that an answer may cite.

use serde::Serialize;
use shared::{Error, State, search::Hit};

use crate::{budget::fitting, fence::fenced};

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
    /// What the text stands under.
    #[serde(skip_serializing_if = "str::is_empty")]
    heading: &'a str,
    text: &'a str,
}

/// Numbers hits, as many as have at most `tokens` tokens together as the model is shown them; the first
/// one is there in any case.
pub(crate) async fn within(
    state: &State,
    hits: Vec<Hit>,
    tokens: usize,
) -> Result<Vec<Source>, Error> {
    let mut sources: Vec<Source> = (1..)
        .zip(hits)
        .map(|(number, hit)| Source { number, hit })
        .collect();
    let counts = state
        .count_tokens(sources.iter().map(Source::fenced).collect())
        .await?;
    sources.truncate(fitting(counts.into_iter(), tokens).max(1));
    Ok(sources)
}

impl Source {
    /// The source as the model is shown it.
    pub(crate) fn fenced(&self) -> String {
        fenced(&Shown {
            source: self.number,
            title: &self.hit.title,
            heading: &self.hit.heading,
            text: &self.hit.content,
        })
    }
}
