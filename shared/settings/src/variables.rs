//! Reads environment variables.

use std::{env, str::FromStr, time::Duration};

use crate::ConfigError;

/// The value of a variable. An empty one counts as unset: templates set variables without a value to "".
#[must_use]
pub fn optional(variable: &'static str) -> Option<String> {
    env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

/// The value of an enumerated variable, or the default.
///
/// # Errors
/// When the value is unknown.
pub fn chosen<C: FromStr<Err = ConfigError> + Default>(
    variable: &'static str,
) -> Result<C, ConfigError> {
    optional(variable).map_or_else(|| Ok(C::default()), |value| value.parse())
}

/// The value of a required variable.
///
/// # Errors
/// When it is unset; the message gives `purpose`.
pub fn required(variable: &'static str, purpose: &'static str) -> Result<String, ConfigError> {
    optional(variable).ok_or(ConfigError::Missing { variable, purpose })
}

/// A number, or the default.
///
/// # Errors
/// When the value is not a number or is out of range; the message gives `expected`.
pub fn number<N: FromStr>(
    variable: &'static str,
    default: N,
    expected: &'static str,
    fits: impl Fn(&N) -> bool,
) -> Result<N, ConfigError> {
    let Some(value) = optional(variable) else {
        return Ok(default);
    };
    value.parse().ok().filter(fits).ok_or(ConfigError::Invalid {
        variable,
        value,
        expected,
    })
}

/// A number, if the variable is set.
///
/// # Errors
/// When the value is not a number or is out of range; the message gives `expected`.
pub fn optional_number<N: FromStr>(
    variable: &'static str,
    expected: &'static str,
    fits: impl Fn(&N) -> bool,
) -> Result<Option<N>, ConfigError> {
    let Some(value) = optional(variable) else {
        return Ok(None);
    };
    let number = value.parse().ok().filter(fits);
    number.map(Some).ok_or(ConfigError::Invalid {
        variable,
        value,
        expected,
    })
}

/// The most milliseconds that Postgres takes for a limit of time, 24 days.
const MOST_MILLISECONDS: u64 = 2_147_483_647;

/// A duration in milliseconds, or the default.
///
/// # Errors
/// When the value is not a positive integer that a server takes for a limit.
pub fn milliseconds(variable: &'static str, default: u64) -> Result<Duration, ConfigError> {
    number(
        variable,
        default,
        "must be a whole number of milliseconds, 1 to 2147483647",
        |n| (1..=MOST_MILLISECONDS).contains(n),
    )
    .map(Duration::from_millis)
}
