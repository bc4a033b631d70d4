//! The time that is left of the invocation, which bounds every statement of it.

use std::time::{Duration, Instant};

use super::DatabaseError;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// What is kept back from the invocation's time: cancelling on the server, and answering.
const RESERVE: Duration = Duration::from_millis(1_500);

/// Runs a request that must have answered at `deadline`.
pub async fn within<F: Future>(deadline: Instant, request: F) -> F::Output {
    DEADLINE.scope(deadline, request).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_deadline_bounds_a_statement() {
        let usual = Duration::from_secs(10);
        assert_eq!(limit(usual).expect("no deadline"), usual);
        within(Instant::now() + Duration::from_secs(60), async {
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
