//! What `EventBridge` does: it invokes a function again and again. Here the next invocation waits for the last one.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};

use super::{pool::Pool, requests};

/// Invokes the function of `pool` with `pause` in between, until `stop` is sent to or dropped.
pub(super) async fn invoke(pool: Arc<Pool>, pause: Duration, mut stop: watch::Receiver<()>) {
    let again = async {
        loop {
            // A failure is in the function's log.
            pool.invoke(requests::request_id(), "{}".into()).await;
            sleep(pause).await;
        }
    };
    tokio::select! {
        _ = stop.changed() => {}
        () = again => {}
    }
}
