//! Validation errors of request fields.

/// A validation error of one request field.
#[derive(Clone, Debug, PartialEq, Eq, schemars::JsonSchema, serde::Serialize, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct FieldError {
    /// The field's path: `limit`, `documents[2].title`.
    pub field: String,
    /// What is wrong, with the limit.
    pub detail: String,
}

impl FieldError {
    /// An error of `field` with `detail`.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}
