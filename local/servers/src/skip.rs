//! Skips tests that need something the machine lacks: `PgBouncer`, network namespaces, IPv6.

use std::{
    env,
    io::{self, Write as _},
};

use anyhow::{Result, bail};

/// Set, a skip is a failure. `.ci/run` sets it: a skipped test proves nothing.
pub const VARIABLE: &str = "RAPPEL_NO_SKIPS";

/// Prints that something is skipped, and why.
///
/// # Errors
/// When [`VARIABLE`] is set.
pub fn skipped(reason: &str) -> Result<()> {
    if env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
        bail!("skipped, though {VARIABLE} is set: {reason}");
    }
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
    Ok(())
}
