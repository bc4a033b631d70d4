//! The settings of searches, unless a request overrides them.

use std::ops::RangeInclusive;

use settings::{ConfigError, number, optional_number};

/// How searches rank, and what they keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchConfig {
    /// `hnsw.ef_search`, 1 to 1,000; `None` for the value that reached `recall` in the last measurement.
    pub effort: Option<i32>,
    /// The target share of the true nearest passages that the index finds, 0.5 to 1; `effort` is measured for it after
    /// each build of the index.
    pub recall: f64,
    /// The weight of the semantic score in a hybrid one, 0 to 1.
    pub semantic_weight: f64,
    /// BM25's k1, 0 to 10: how much repeated words count.
    pub k1: f64,
    /// BM25's b, 0 to 1: the penalty of long passages.
    pub b: f64,
    /// The most questions whose embeddings a sandbox keeps: about 2 KB each with 384 dimensions, and at most 34 KB with
    /// the text of the longest question.
    pub question_cache: usize,
}

impl Default for SearchConfig {
    /// `semantic_weight`: docs/relevance.md says how it was chosen. `k1` and `b`: see `rappel tune`.
    fn default() -> Self {
        Self {
            effort: None,
            recall: 0.95,
            semantic_weight: 0.65,
            k1: 1.2,
            b: 0.75,
            question_cache: 256,
        }
    }
}

impl SearchConfig {
    /// The effort if none is set or measured.
    pub const EFFORT: i32 = 200;

    /// The range of a weight.
    pub const WEIGHTS: RangeInclusive<f64> = 0.0..=1.0;

    /// Reads `SEARCH_EFFORT` and the settings around it.
    ///
    /// # Errors
    /// Names the first invalid variable.
    pub fn from_env() -> Result<Self, ConfigError> {
        let default = Self::default();
        Ok(Self {
            effort: optional_number(
                "SEARCH_EFFORT",
                "must be a whole number from 1 to 1000",
                |n| (1..=1000).contains(n),
            )?,
            recall: number(
                "SEARCH_RECALL",
                default.recall,
                "must be a number from 0.5 to 1",
                |n| (0.5..=1.0).contains(n),
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
            question_cache: number(
                "QUESTION_CACHE",
                default.question_cache,
                "must be a whole number from 0 to 100000",
                |n| (0..=100_000).contains(n),
            )?,
        })
    }
}
