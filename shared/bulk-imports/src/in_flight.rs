//! What a worker keeps alive: the messages of its invocation and its current piece of work.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Worker, state::Claim};

/// The messages and the claim that this worker renews.
pub(super) struct InFlight {
    /// Receipts of messages without a verdict yet.
    pub(super) receipts: Vec<String>,
    /// The current piece of work.
    pub(super) claim: Option<Claim>,
}

impl InFlight {
    /// Stops renewing a message and its claim.
    pub(super) fn close(&mut self, receipt: &str) {
        self.receipts.retain(|open| open != receipt);
        self.claim = None;
    }
}

pub(super) fn lock(open: &Mutex<InFlight>) -> MutexGuard<'_, InFlight> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews the visibility of the messages and the lease in the database, for as long as it is polled.
pub(super) async fn renew(worker: &Worker<'_>, open: &Mutex<InFlight>) -> Infallible {
    let imports = worker.imports;
    loop {
        let (receipts, claim) = {
            let open = lock(open);
            (open.receipts.clone(), open.claim.clone())
        };
        // Concurrently: a slow queue must not cost the lease.
        let messages = async {
            // If this fails, the message is delivered again early and finds its part leased.
            if let Err(error) = imports.queue.hide(&receipts, imports.config.lease).await {
                tracing::debug!(%error, "cannot extend the messages' visibility timeout");
            }
        };
        let lease = async {
            if let Some(claim) = claim
                && let Err(error) = claim.renew(worker.database).await
            {
                tracing::debug!(%error, "cannot renew the lease");
            }
        };
        futures_util::join!(messages, lease);
        tokio::time::sleep(imports.config.lease / 4).await;
    }
}
