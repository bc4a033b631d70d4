//! Variables of the environment, read one by one.

use std::{env, str::FromStr, time::Duration};

use super::ConfigError;

/// An empty variable counts as missing: templates set variables that they have no value for to "".
pub(super) fn optional(variable: &'static str) -> Option<String> {
    env::var(variable)
        .ok()
        .filter(|value| !value.trim().is_empty())
}

pub(super) fn chosen<C: FromStr<Err = ConfigError> + Default>(
    variable: &'static str,
) -> Result<C, ConfigError> {
    optional(variable).map_or_else(|| Ok(C::default()), |value| value.parse())
}

pub(super) fn required(
    variable: &'static str,
    purpose: &'static str,
) -> Result<String, ConfigError> {
    optional(variable).ok_or(ConfigError::Missing { variable, purpose })
}

pub(super) fn number<N: FromStr>(
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

pub(super) fn optional_number<N: FromStr>(
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

pub(super) fn milliseconds(variable: &'static str, default: u64) -> Result<Duration, ConfigError> {
    number(
        variable,
        default,
        "must be a whole number of milliseconds above 0",
        |n| *n > 0,
    )
    .map(Duration::from_millis)
}
