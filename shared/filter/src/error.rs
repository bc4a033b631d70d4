//! What is wrong with a filter.

/// A filter that is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct FilterError {
    /// Where the fault is: `filter.year.$gte`, `filter.$or[2]`.
    pub path: String,
    /// What is wrong there, with what is allowed.
    pub detail: String,
}
