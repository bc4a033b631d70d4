//! Settings, read once from the environment. Each crate keeps those of its own concern.

mod variables;

pub use self::variables::{chosen, milliseconds, number, optional, optional_number, required};

/// A setting that is missing or wrong; the function stops at start with it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A required variable is not set.
    #[error("{variable} is not set: {purpose}")]
    Missing {
        /// The variable's name.
        variable: &'static str,
        /// What it is for, with an example.
        purpose: &'static str,
    },
    /// A variable that may hold a secret has a value that cannot be used; it is not shown.
    #[error("{variable} {expected}")]
    Unusable {
        /// The variable's name.
        variable: &'static str,
        /// What its value must be.
        expected: &'static str,
    },
    /// A variable has a value that cannot be used.
    #[error("{variable} is {value:?}: {expected}")]
    Invalid {
        /// The variable's name.
        variable: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}
