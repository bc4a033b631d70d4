//! Writes that another transaction got in the way of.

use std::time::Duration;

use crate::database::DatabaseError;

/// How often a write is tried, and the first pause in between, which doubles.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a write again that Postgres rolled back for the sake of another one: a deadlock, or a serialization
/// failure. Nothing of it was stored.
///
/// # Errors
/// Those of the last attempt.
pub async fn retried<T>(
    write: impl AsyncFn() -> Result<T, DatabaseError>,
) -> Result<T, DatabaseError> {
    for attempt in 1..ATTEMPTS {
        match write().await {
            Err(error) if error.is_conflict() => {
                tracing::info!(attempt, "another transaction was in the way; trying again");
                // Two that met must not meet again.
                let pause = PAUSE * 2_u32.pow(attempt - 1);
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
            }
            outcome => return outcome,
        }
    }
    write().await
}
