//! The time that an invocation has.

use std::time::{Duration, SystemTime};

/// Lambda's maximum timeout.
const LONGEST_INVOCATION: Duration = Duration::from_mins(15);

/// The time until the deadline of an invocation. `cargo lambda watch` sends a deadline in 1970: no limit.
#[must_use]
pub fn time_left(context: &lambda_runtime::Context) -> Duration {
    let left = context.deadline().duration_since(SystemTime::now());
    left.unwrap_or(LONGEST_INVOCATION)
}
