//! What a worker holds while it lives: the messages of its invocation, and the piece of work it is at.

use std::{
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Worker, state::Claim};

/// What this worker must not lose while it is alive.
pub(super) struct InFlight {
    /// Of the messages that have no verdict yet.
    pub(super) receipts: Vec<String>,
    /// The piece of work that is under way.
    pub(super) claim: Option<Claim>,
}

impl InFlight {
    /// Gives up what belongs to one message.
    pub(super) fn close(&mut self, receipt: &str) {
        self.receipts.retain(|open| open != receipt);
        self.claim = None;
    }
}

pub(super) fn lock(open: &Mutex<InFlight>) -> MutexGuard<'_, InFlight> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Renews the lease on what is open, on the queue and in the database, as long as it is polled.
pub(super) async fn renew(worker: &Worker<'_>, open: &Mutex<InFlight>) -> Infallible {
    let imports = worker.imports;
    loop {
        let (receipts, claim) = {
            let open = lock(open);
            (open.receipts.clone(), open.claim.clone())
        };
        // Side by side: a queue that is slow must not cost the lease.
        let messages = async {
            // If it fails, the message comes back too early and finds its part taken.
            if let Err(error) = imports.queue.hide(&receipts, imports.config.lease).await {
                tracing::debug!(%error, "the messages' time could not be renewed");
            }
        };
        let lease = async {
            if let Some(claim) = claim
                && let Err(error) = claim.renew(worker.database).await
            {
                tracing::debug!(%error, "the lease could not be renewed");
            }
        };
        futures_util::join!(messages, lease);
        tokio::time::sleep(imports.config.lease / 4).await;
    }
}
