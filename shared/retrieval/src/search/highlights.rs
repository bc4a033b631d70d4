//! Where hits have the question's words.

use std::collections::BTreeSet;

use analysis::Guess;
use schemars::JsonSchema;
use serde::Serialize;

use super::fields::Fields;

/// The ranges of the question's words, by the analysis of keyword search.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub struct Highlights {
    /// In `title`.
    pub title: Vec<Range>,
    /// In `content`.
    pub content: Vec<Range>,
}

/// A part of a text, in characters (Unicode scalar values) from 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "HighlightRange")]
pub struct Range {
    /// The first character.
    pub start: usize,
    /// The character after the last.
    pub end: usize,
}

impl Highlights {
    /// The ranges of these terms in the fields of a hit that are sent, by its title and content and the language that its
    /// document says.
    pub(super) fn of(
        (title, content): (&str, &str),
        language: Option<&str>,
        fields: &Fields,
        asked: &BTreeSet<String>,
    ) -> Self {
        let guess = Guess::of_document(language, title, content);
        let ranges = |name: &str, text: &str| -> Vec<Range> {
            if !fields.has(name) {
                return Vec::new();
            }
            analysis::highlights(text, guess, asked)
                .into_iter()
                .map(|range| Range {
                    start: range.start,
                    end: range.end,
                })
                .collect()
        };
        Self {
            title: ranges("title", title),
            content: ranges("content", content),
        }
    }
}
