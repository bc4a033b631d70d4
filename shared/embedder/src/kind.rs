//! What a text is to a model.

use serde::Deserialize;

/// What a text is to the search: models embed questions and passages differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A question.
    Query,
    /// A passage that may answer one.
    Passage,
}
