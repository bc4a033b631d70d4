//! What is wrong with a field of a request.

/// One field of a request that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct FieldError {
    /// The field's path: `limit`, `documents[2].title`.
    pub field: String,
    /// What is wrong, with the limit.
    pub detail: String,
}

impl FieldError {
    /// Says of `field` that `detail`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}
