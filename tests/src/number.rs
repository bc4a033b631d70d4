//! Numbers that environment variables set.

use std::{env, error::Error, str::FromStr};

use anyhow::{Context as _, Result};

/// The number in the environment variable `name`, or else `default`.
///
/// # Errors
/// When it is no such number.
pub fn number<T>(name: &str, default: T) -> Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    match env::var(name) {
        Ok(value) => value
            .parse()
            .with_context(|| format!("{name} is {value:?}, which is no such number")),
        Err(_) => Ok(default),
    }
}
