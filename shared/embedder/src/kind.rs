//! The role of a text.

use serde::Deserialize;

/// The role of a text: models embed questions and passages differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A question.
    Query,
    /// A passage that may answer one.
    Passage,
}
