//! How searches rank, as options, as JSON and as a function's environment.

use std::{fmt, ops::RangeInclusive};

use clap::Args;
use retrieval::SearchConfig;
use serde::Serialize;

/// A [`SearchConfig`] that can be given on the command line and printed.
#[derive(Args, Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Settings {
    /// The candidates that the vector index keeps, 1 to 1000: with more, fewer neighbours are missed.
    #[arg(long, default_value_t = SearchConfig::EFFORT, value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(crate) effort: i32,
    /// The share of meaning in a hybrid score, 0 to 1; the rest is the words'.
    #[arg(long, value_name = "SHARE", default_value_t = SearchConfig::default().semantic_weight, value_parser = share)]
    pub(crate) semantic_weight: f64,
    /// BM25's k1, 0 to 10: how much a further occurrence of a word still counts.
    #[arg(long, default_value_t = SearchConfig::default().k1, value_parser = saturation)]
    pub(crate) k1: f64,
    /// BM25's b, 0 to 1: how much a long passage counts for less.
    #[arg(long, default_value_t = SearchConfig::default().b, value_parser = share)]
    pub(crate) b: f64,
}

impl Settings {
    /// The settings as a search takes them.
    pub(crate) fn config(&self) -> SearchConfig {
        SearchConfig {
            effort: Some(self.effort),
            semantic_weight: self.semantic_weight,
            k1: self.k1,
            b: self.b,
            ..SearchConfig::default()
        }
    }

    /// Whether both rank alike, whatever the effort.
    pub(crate) fn ranks_as(&self, other: &Self) -> bool {
        let effort = self.effort;
        *self == Self { effort, ..*other }
    }

    /// The variables that make a function rank so.
    pub(crate) fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("SEARCH_SEMANTIC_WEIGHT", self.semantic_weight.to_string()),
            ("SEARCH_BM25_K1", self.k1.to_string()),
            ("SEARCH_BM25_B", self.b.to_string()),
            ("SEARCH_EFFORT", self.effort.to_string()),
        ]
    }
}

impl Default for Settings {
    /// Those of a function whose environment names none.
    fn default() -> Self {
        let SearchConfig {
            semantic_weight,
            k1,
            b,
            ..
        } = SearchConfig::default();
        Self {
            effort: SearchConfig::EFFORT,
            semantic_weight,
            k1,
            b,
        }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "semantic weight {:.2}, k1 {:.2}, b {:.2}, effort {}",
            self.semantic_weight, self.k1, self.b, self.effort
        )
    }
}

fn share(text: &str) -> Result<f64, String> {
    number_within(text, &SearchConfig::WEIGHTS)
}

fn saturation(text: &str) -> Result<f64, String> {
    number_within(text, &(0.0..=10.0))
}

fn number_within(text: &str, range: &RangeInclusive<f64>) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
}
