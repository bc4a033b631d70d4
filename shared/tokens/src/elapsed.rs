//! Time by the wall clock, which advances while Lambda freezes a sandbox.

use std::time::{Duration, SystemTime};

/// Whether less than `limit` has passed since `time`. A clock that was set back counts as passed.
#[must_use]
pub fn is_within(time: SystemTime, limit: Duration) -> bool {
    time.elapsed().is_ok_and(|age| age < limit)
}
