//! How searches rank, unless a request says otherwise.

use std::ops::RangeInclusive;

use super::{ConfigError, variables::number};

/// The ranking of searches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchConfig {
    /// `hnsw.ef_search`, 1 to 1,000.
    pub effort: i32,
    /// The share of the semantic score in a hybrid one, 0 to 1.
    pub semantic_weight: f64,
    /// BM25's k1, 0 to 10: how much a further occurrence of a word still counts.
    pub k1: f64,
    /// BM25's b, 0 to 1: how much a long passage counts for less.
    pub b: f64,
}

impl Default for SearchConfig {
    /// `effort`: what finds 98 % of the true ten nearest among 16,000 embeddings, and 83 % among 340,000 of
    /// texts that are near copies of each other: see `rappel bench --sections recall`. The others: see
    /// `rappel tune`.
    fn default() -> Self {
        Self {
            effort: 200,
            semantic_weight: 0.7,
            k1: 1.2,
            b: 0.75,
        }
    }
}

impl SearchConfig {
    /// What a weight may be.
    pub const WEIGHTS: RangeInclusive<f64> = 0.0..=1.0;

    /// Reads `SEARCH_EFFORT` and the settings around it.
    ///
    /// # Errors
    /// Names the first variable that is wrong.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            effort: number(
                "SEARCH_EFFORT",
                default.effort,
                "must be a whole number from 1 to 1000",
                |n| (1..=1000).contains(n),
            )?,
            semantic_weight: number(
                "SEARCH_SEMANTIC_WEIGHT",
                default.semantic_weight,
                "must be a number from 0 to 1",
                |n| Self::WEIGHTS.contains(n),
            )?,
            k1: number(
                "SEARCH_BM25_K1",
                default.k1,
                "must be a number from 0 to 10",
                |n| (0.0..=10.0).contains(n),
            )?,
            b: number(
                "SEARCH_BM25_B",
                default.b,
                "must be a number from 0 to 1",
                |n| Self::WEIGHTS.contains(n),
            )?,
        })
    }
}
