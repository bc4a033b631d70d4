//! Waiting for conditions on a machine that may be slow.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{sleep, timeout};

use crate::Sql;

/// Longer than anything takes on a busy machine unless it hangs.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// Pause between polls.
const PAUSE: Duration = Duration::from_millis(20);

/// Polls until there is a value.
///
/// # Errors
/// When there is none within [`PATIENCE`], or polling fails.
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
    /// Polls until a query returns a count above 0, and returns it.
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
