//! Waiting for something to happen, on a machine that may be slow.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{sleep, timeout};

use crate::Sql;

/// Longer than anything takes that does not hang, on a machine with other things to do.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until something is there.
///
/// # Errors
/// When it is not within [`PATIENCE`], or looking fails.
pub async fn eventually<T>(
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            sleep(PAUSE).await;
        }
    };
    timeout(PATIENCE, looking)
        .await
        .with_context(|| format!("{what}: not within {PATIENCE:?}"))?
}

impl Sql {
    /// Waits until a query counts something, and answers what it counts.
    ///
    /// # Errors
    /// When it does not within [`PATIENCE`], or the query fails.
    pub async fn counts(&self, query: &str) -> Result<i64> {
        eventually(query, async || {
            let count = self.number(query, &[]).await?;
            Ok((count > 0).then_some(count))
        })
        .await
    }
}
