//! Writes that another transaction got in the way of.

use std::time::Duration;

use database::DatabaseError;

/// How often a write is tried, and the first pause in between, which doubles.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(20);

/// The tries of one write.
#[derive(Debug, Default)]
pub struct Retry {
    failed: u32,
}

impl Retry {
    /// Whether to try again after `error`: if Postgres rolled the write back for the sake of another one (a deadlock,
    /// a serialization failure), so that nothing of it was stored. Answers when it is time to.
    pub async fn again(&mut self, error: &DatabaseError) -> bool {
        self.failed += 1;
        if !error.is_conflict() || self.failed >= ATTEMPTS {
            return false;
        }
        tracing::info!(
            failed = self.failed,
            "another transaction was in the way; trying again"
        );
        // Two that met must not meet again.
        let pause = PAUSE * 2_u32.pow(self.failed - 1);
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        true
    }
}
