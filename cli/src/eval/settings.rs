//! Ranking settings as options, as JSON and as a function's environment.

use std::{fmt, ops::RangeInclusive};

use clap::Args;
use retrieval::SearchConfig;
use serde::Serialize;

/// A [`SearchConfig`] as command line options, and printable.
#[derive(Args, Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Settings {
    /// Candidates of the vector index (`ef_search`), 1 to 1000: more of them miss fewer neighbours. By default what was
    /// measured for the index.
    #[arg(long, env = "SEARCH_EFFORT", value_parser = clap::value_parser!(i32).range(1..=1_000))]
    pub(crate) effort: Option<i32>,
    /// The weight of semantic similarity in a hybrid score, 0 to 1; the rest is that of keywords.
    #[arg(long, value_name = "SHARE", default_value_t = SearchConfig::default().semantic_weight, value_parser = share)]
    pub(crate) semantic_weight: f64,
    /// BM25's k1, 0 to 10: how much repeated occurrences of a word count.
    #[arg(long, default_value_t = SearchConfig::default().k1, value_parser = saturation)]
    pub(crate) k1: f64,
    /// BM25's b, 0 to 1: how much long passages are penalised.
    #[arg(long, default_value_t = SearchConfig::default().b, value_parser = share)]
    pub(crate) b: f64,
}

impl Settings {
    /// The settings of a search.
    pub(crate) fn config(&self) -> SearchConfig {
        SearchConfig {
            effort: self.effort,
            semantic_weight: self.semantic_weight,
            k1: self.k1,
            b: self.b,
            ..SearchConfig::default()
        }
    }

    /// The environment variables of these settings, without the effort, which is measured for each index.
    pub(crate) fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("SEARCH_SEMANTIC_WEIGHT", self.semantic_weight.to_string()),
            ("SEARCH_BM25_K1", self.k1.to_string()),
            ("SEARCH_BM25_B", self.b.to_string()),
        ]
    }
}

impl Default for Settings {
    /// The defaults of a function without these variables.
    fn default() -> Self {
        let SearchConfig {
            semantic_weight,
            k1,
            b,
            ..
        } = SearchConfig::default();
        Self {
            effort: None,
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
            "semantic weight {:.2}, k1 {:.2}, b {:.2}, ",
            self.semantic_weight, self.k1, self.b
        )?;
        match self.effort {
            Some(effort) => write!(f, "effort {effort}"),
            None => f.write_str("the index's own effort"),
        }
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
