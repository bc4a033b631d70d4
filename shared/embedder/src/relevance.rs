//! The relevance of a passage.

use serde::{Deserialize, Serialize};

/// A logistic function of features of a question and a passage. `rappel relevance` fits its coefficients on judged
/// sets, for one model each, because the distances of models spread differently.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relevance {
    /// The constant term.
    pub intercept: f64,
    /// The factor of the embeddings' cosine.
    pub similarity: f64,
    /// The factor of the share of the question's words that the passage has, 0 to 1.
    pub coverage: f64,
}

impl Default for Relevance {
    /// Those of all-MiniLM-L6-v2, the default for unknown models: most spread their cosines like it.
    fn default() -> Self {
        Self {
            intercept: -9.74,
            similarity: 20.39,
            coverage: 7.13,
        }
    }
}

impl Relevance {
    /// Almost no relevance, for any passage.
    pub const NONE: Self = Self {
        intercept: -100.0,
        similarity: 0.0,
        coverage: 0.0,
    };

    /// The probability, 0 to 1.
    #[must_use]
    pub fn of(&self, distance: f64, coverage: f64) -> f64 {
        let logit = self.intercept + self.similarity * (1.0 - distance) + self.coverage * coverage;
        1.0 / (1.0 + (-logit).exp())
    }

    /// The coefficients in the format of `search`.
    #[must_use]
    pub fn coefficients(&self) -> Vec<f64> {
        vec![self.intercept, self.similarity, self.coverage]
    }

    pub(super) fn check(self) -> Result<Self, String> {
        // Postgres cannot raise e above about 700.
        let small = |x: f64| x.abs() <= 100.0;
        let usable = small(self.intercept)
            && small(self.similarity)
            && small(self.coverage)
            && self.similarity >= 0.0
            && self.coverage >= 0.0;
        if usable {
            Ok(self)
        } else {
            Err(
                "relevance must have an intercept from -100 to 100 and coefficients from 0 to 100"
                    .to_owned(),
            )
        }
    }
}
