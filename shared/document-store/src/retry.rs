//! Retries of writes that conflict with other transactions.

use std::time::Duration;

use database::DatabaseError;

/// The most tries of a write, and the first pause, which doubles.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// A write, tried again after conflicts with other transactions.
pub(crate) async fn retried<T, F>(mut write: impl FnMut() -> F) -> Result<T, DatabaseError>
where
    F: Future<Output = Result<T, DatabaseError>>,
{
    let mut retry = Retry::default();
    loop {
        match write().await {
            Err(error) if retry.again(&error).await => {}
            outcome => return outcome,
        }
    }
}

/// The tries of one write.
#[derive(Debug, Default)]
pub struct Retry {
    failed: u32,
}

impl Retry {
    /// Whether to try again after `error`: if Postgres rolled the write back in favour of another one (a deadlock, a
    /// serialization failure), so that nothing was stored. Returns after the pause.
    pub async fn again(&mut self, error: &DatabaseError) -> bool {
        self.failed += 1;
        if !error.is_conflict() || self.failed >= ATTEMPTS {
            return false;
        }
        tracing::info!(
            failed = self.failed,
            "a conflict with another transaction; retrying"
        );
        // Random, so that two writers do not conflict again.
        let pause = PAUSE * 2_u32.pow(self.failed - 1);
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        true
    }
}
