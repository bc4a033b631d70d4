//! What cannot be done on a machine that lacks something: no `PgBouncer`, no network namespaces, no IPv6.

use std::{
    env,
    io::{self, Write as _},
};

use anyhow::{Result, bail};

/// The variable that makes whatever is skipped a failure. `.ci/run` sets it: a test that was skipped has
/// proved nothing.
pub const VARIABLE: &str = "RAPPEL_NO_SKIPS";

/// Says that something is skipped, and why.
///
/// # Errors
/// When nothing may be skipped: [`VARIABLE`] is set.
pub fn skipped(reason: &str) -> Result<()> {
    if env::var_os(VARIABLE).is_some_and(|value| !value.is_empty()) {
        bail!("skipped, though {VARIABLE} is set: {reason}");
    }
    // A closed stderr is no reason to stop.
    let _ = writeln!(io::stderr(), "skipped: {reason}");
    Ok(())
}
