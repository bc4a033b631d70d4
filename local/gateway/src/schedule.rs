//! What `EventBridge` does: it invokes a function again and again. Here the next invocation waits for the last one.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{invocation::Outcome, pool::Pool, requests};

/// The pause after an invocation that failed, as when the database is away.
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// Invokes the function of `pool` with `pause` in between, until `stop` is sent to or dropped.
pub(super) async fn invoke(pool: Arc<Pool>, pause: Duration, mut stop: watch::Receiver<()>) {
    let again = async {
        loop {
            let outcome = pool.invoke(requests::request_id(), "{}".into()).await;
            // A failure is in the function's log, which it need not fill.
            let failed = matches!(outcome, Outcome::Failed(_));
            sleep(if failed { AFTER_FAILURE } else { pause }).await;
        }
    };
    tokio::select! {
        _ = stop.changed() => {}
        () = again => {}
    }
}
