//! The time that is left of the invocation, which bounds every statement of it.

use std::time::{Duration, Instant, SystemTime};

use telemetry::{self, Part};

use super::DatabaseError;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// What is kept back from the invocation's time: cancelling on the server, and answering.
const RESERVE: Duration = Duration::from_millis(1_500);

/// The time that a statement's answer may take beyond the server's own limit before the connection
/// counts as dead.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// The limit of the first statement on a connection that may have died while it was idle; with
/// [`ANSWER_GRACE`] more than a search takes. The kernel notices a peer that is gone, but not a proxy
/// that takes every byte and leads nowhere any more.
pub(super) const FIRST_ANSWER: Duration = Duration::from_millis(500);

/// How long that one's answer is waited for before the server is asked about it.
pub(super) const DOUBT: Duration = FIRST_ANSWER.saturating_add(ANSWER_GRACE);

/// Runs a request that must have answered at `deadline`.
pub async fn within<F: Future>(deadline: Instant, request: F) -> F::Output {
    DEADLINE.scope(deadline, request).await
}

/// Whether `limit` has passed since then. The wall clock goes on while Lambda freezes a sandbox; the
/// monotonic clock may not. A wall clock that was set back says nothing, which counts as passed.
pub(super) fn has_passed(limit: Duration, since: SystemTime) -> bool {
    since.elapsed().map_or(true, |elapsed| elapsed > limit)
}

/// The limit of a statement that starts now: `usual`, or less near the end of the invocation.
///
/// # Errors
/// [`DatabaseError::StatementTimeout`] when no time is left.
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

/// `wanted`, or what is left of the invocation if that is less.
pub(super) fn at_most(wanted: Duration) -> Duration {
    limit(wanted).unwrap_or_default()
}

/// Waits for the answer to a statement that the server ends itself after `limit`.
///
/// # Errors
/// What the statement says, or [`DatabaseError::Lost`] when neither an answer nor an error came.
pub(super) async fn answered<T>(
    limit: Duration,
    statement: impl Future<Output = Result<T, DatabaseError>>,
) -> Result<T, DatabaseError> {
    let limit = limit + ANSWER_GRACE;
    let _measured = telemetry::measure(Part::Database);
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
