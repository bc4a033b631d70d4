//! Settings, read once from the environment. Each crate defines its own.

mod variables;

pub use self::variables::{chosen, milliseconds, number, optional, optional_number, required};

/// A missing or invalid setting; the function fails at start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is unset.
    #[error("{variable} is not set: {purpose}")]
    Missing {
        /// The variable's name.
        variable: &'static str,
        /// Its purpose, with an example.
        purpose: &'static str,
    },
    /// A variable that may hold a secret is invalid; its value is not shown.
    #[error("{variable} {expected}")]
    Unusable {
        /// The variable's name.
        variable: &'static str,
        /// The expected value.
        expected: &'static str,
    },
    /// A variable is invalid.
    #[error("{variable} is {value:?}: {expected}")]
    Invalid {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// The expected value.
        expected: &'static str,
    },
}
