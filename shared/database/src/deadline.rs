//! The invocation's deadline, which bounds its every statement.

use std::time::{Duration, Instant, SystemTime};

use telemetry::{self, Phase};

use super::DatabaseError;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// Reserved at the end of the invocation: to cancel on the server, and to answer.
const RESERVE: Duration = Duration::from_millis(1_500);

/// How long an answer may take beyond the server's own limit before the connection counts as dead.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// The limit of the first statement on a connection that may have died while idle; with [`ANSWER_GRACE`] more than a
/// search takes. The kernel detects a dead peer, but not a proxy that accepts every byte and forwards none.
pub(super) const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// How long to wait for that answer before checking the server process.
pub(super) const DOUBT: Duration = FIRST_ANSWER.saturating_add(ANSWER_GRACE);

/// Runs a request that must answer by `deadline`.
pub async fn within<F: Future>(deadline: Instant, request: F) -> F::Output {
    DEADLINE.scope(deadline, request).await
}

/// Whether `limit` has passed since then. The wall clock advances while Lambda freezes a sandbox; the monotonic clock
/// may not. A wall clock that was set back counts as passed.
pub(super) fn has_passed(limit: Duration, since: SystemTime) -> bool {
    since.elapsed().map_or(true, |elapsed| elapsed > limit)
}

/// The limit of a statement that starts now: `usual`, or less near the end of the invocation.
///
/// # Errors
/// [`DatabaseError::StatementTimeout`] if no time is left.
pub(super) fn limit(usual: Duration) -> Result<Duration, DatabaseError> {
    let left = DEADLINE.try_with(|deadline| deadline.saturating_duration_since(Instant::now()));
    let Ok(left) = left else {
        return Ok(usual);
    };
    match left.saturating_sub(RESERVE) {
        Duration::ZERO => Err(DatabaseError::StatementTimeout),
        left => Ok(left.min(usual)),
    }
}

/// `wanted`, or the rest of the invocation if that is less.
pub(super) fn at_most(wanted: Duration) -> Duration {
    limit(wanted).unwrap_or_default()
}

/// Waits for the answer to a statement that the server cancels after `limit`.
///
/// # Errors
/// The statement's error, or [`DatabaseError::Lost`] without any response.
pub(super) async fn answered<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let limit = limit + ANSWER_GRACE;
    let _measured = telemetry::measure(Phase::Database);
    tokio::time::timeout(limit, statement)
        .await
        .unwrap_or_else(|_| Err(DatabaseError::no_answer(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_deadline_bounds_a_statement() {
        let usual = Duration::from_secs(10);
        assert_eq!(limit(usual).expect("no deadline"), usual);
        within(Instant::now() + Duration::from_mins(1), async {
            assert_eq!(limit(usual).expect("enough time"), usual);
        })
        .await;
        within(Instant::now() + Duration::from_secs(5), async {
            assert!(limit(usual).expect("some time") <= Duration::from_millis(3_500));
        })
        .await;
        within(Instant::now() + Duration::from_secs(1), async {
            assert!(matches!(limit(usual), Err(DatabaseError::StatementTimeout)));
        })
        .await;
    }
}
