//! A worker: processes the deliveries of one invocation.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use aws::AwsError;
use futures_util::future::{Either, select};
use telemetry::chain;

use super::{
    Imports, Worker,
    attempt::{Attempt, WorkError, reason},
    in_flight::{InFlight, lock, renew},
    message::Message,
    part, plan, single,
    state::{Claim, Claimed, Part},
};

/// A message as delivered by the queue.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its body.
    pub body: String,
    /// The receipt handle of this delivery.
    pub receipt: String,
    /// Number of deliveries, including this one.
    pub receives: i32,
}

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delete it: nothing is left to do, or another message replaces it.
    Delete,
    /// Deliver it again, or move it to the dead-letter queue after its last delivery.
    Retry,
}

/// No new work is started this close to the end of an invocation.
const RESERVE: Duration = Duration::from_secs(10);

/// Processes the deliveries of one invocation, which ends at `deadline`. Verdicts are in the order of the deliveries.
///
/// A message is deleted only after its work is durable; until then it is delivered again once this worker has been
/// silent for longer than the lease. So a dying process loses nothing.
pub async fn work(worker: &Worker<'_>, deliveries: &[Delivery], deadline: Instant) -> Vec<Verdict> {
    let open: Mutex<InFlight> = Mutex::new(InFlight {
        receipts: deliveries
            .iter()
            .map(|delivery| delivery.receipt.clone())
            .collect(),
        claim: None,
    });
    let verdicts = async {
        let mut verdicts = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let delivered = Delivered {
                worker,
                delivery,
                open: &open,
                until: deadline.checked_sub(RESERVE).unwrap_or(deadline),
            };
            verdicts.push(delivered.verdict().await);
            lock(&open).close(&delivery.receipt);
        }
        verdicts
    };
    // Concurrently, so that a delivery that waits for the only database connection does not block the others.
    match select(Box::pin(verdicts), Box::pin(renew(worker, &open))).await {
        Either::Left((verdicts, _)) => verdicts,
        Either::Right((never, _)) => match never {},
    }
}

/// One delivery with its context.
struct Delivered<'a> {
    worker: &'a Worker<'a>,
    delivery: &'a Delivery,
    open: &'a Mutex<InFlight>,
    until: Instant,
}

impl Delivered<'_> {
    async fn verdict(&self) -> Verdict {
        let Ok(message) = serde_json::from_str::<Message>(&self.delivery.body) else {
            tracing::error!("not a message of Rappel; it will go to the dead-letter queue");
            return Verdict::Retry;
        };
        let claim = Claim {
            message,
            worker: self.worker.name.to_owned(),
            lease: self.worker.imports.config.lease,
            receives: self.delivery.receives,
        };
        let (import, part) = (claim.message.import.as_str(), claim.message.part);
        if Instant::now() >= self.until {
            return self.postpone(&claim.message, Duration::ZERO).await;
        }
        let outcome = match claim.message.position {
            Some(position) => self.line(&claim, position).await,
            None => self.part(&claim).await,
        };
        match outcome {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::warn!(import, part, cause = %chain(&error), "postponing a message");
                match error {
                    // Not even the failure can be recorded: while that may pass, the message stays.
                    WorkError::Database(_) => self.postpone(&claim.message, self.backoff()).await,
                    _ => Verdict::Retry,
                }
            }
        }
    }

    async fn part(&self, claim: &Claim) -> Result<Verdict, WorkError> {
        let database = self.worker.database;
        let mut part = match claim.claim_part(database).await? {
            Claimed::Yes(part) => part,
            Claimed::Leased(time) => return Ok(self.postpone(&claim.message, time).await),
            Claimed::Over => return Ok(Verdict::Delete),
        };
        if self.is_last() && part.attempts < self.worker.imports.config.max_receives {
            // The deliveries were used up by workers that died after some progress or before the claim: start a new
            // count.
            claim.release(database).await?;
            return Ok(self.postpone(&claim.message, Duration::ZERO).await);
        }
        lock(self.open).claim = Some(claim.clone());
        let outcome = self.run(claim, &mut part).await;
        match outcome {
            Ok(Attempt::Unfinished) => {
                claim.release(database).await?;
                self.worker.imports.send(&[claim.message.json()]).await?;
                Ok(Verdict::Delete)
            }
            Ok(_) => {
                claim.finish(database, None).await?;
                Ok(Verdict::Delete)
            }
            Err(WorkError::Import(failure)) => {
                tracing::warn!(import = claim.message.import, failure, "the import failed");
                claim.fail_import(database, failure).await?;
                Ok(Verdict::Delete)
            }
            Err(WorkError::File(failure)) => {
                // Not its text, which may quote the object.
                tracing::warn!(
                    import = claim.message.import,
                    "the object cannot be read as a document"
                );
                claim.fail_import(database, reason(&failure)).await?;
                Ok(Verdict::Delete)
            }
            Err(error @ WorkError::Database(_)) => {
                // If this fails too, the lease expires.
                let _ = claim.release(database).await;
                Err(error)
            }
            Err(WorkError::LeaseLost) => Ok(self.postpone(&claim.message, claim.lease).await),
            Err(error @ WorkError::Failed { .. }) => {
                if self.is_last() {
                    claim.finish(database, Some(error.to_string())).await?;
                } else {
                    claim.release(database).await?;
                    self.hide(self.backoff()).await;
                }
                Err(error)
            }
        }
    }

    /// Processes a claimed part.
    async fn run(&self, claim: &Claim, part: &mut Part) -> Result<Attempt, WorkError> {
        if claim.message.part == 0 {
            plan::plan(self.worker, claim, part, self.until).await?;
            return Ok(Attempt::Done);
        }
        let attempt = part::work(self.worker, claim, part, self.until).await?;
        if matches!(attempt, Attempt::Done) {
            // Messages are sent before the part is finished, so no line is lost.
            let singles = claim.retrying(self.worker.database).await?;
            let messages: Vec<String> = singles
                .into_iter()
                .map(|(position, reason)| claim.message.of_line(position, reason).json())
                .collect();
            self.worker.imports.send(&messages).await?;
        }
        Ok(attempt)
    }

    async fn line(&self, claim: &Claim, position: i64) -> Result<Verdict, WorkError> {
        let database = self.worker.database;
        let line = match claim.claim_line(database, position).await? {
            Claimed::Yes(line) => line,
            Claimed::Leased(time) => return Ok(self.postpone(&claim.message, time).await),
            Claimed::Over => return Ok(Verdict::Delete),
        };
        if self.is_last() && line.attempts < self.worker.imports.config.max_receives {
            // As with a part: without a new count it would be given up before enough attempts.
            claim.release(database).await?;
            return Ok(self.postpone(&claim.message, Duration::ZERO).await);
        }
        lock(self.open).claim = Some(claim.clone());
        let outcome = single::work(self.worker, claim, &line, self.is_last()).await;
        match outcome {
            Ok(Attempt::Done | Attempt::Unfinished) => Ok(Verdict::Delete),
            Ok(Attempt::DeadLetter) => Ok(Verdict::Retry),
            Ok(Attempt::Retry) => {
                claim.release(database).await?;
                self.hide(self.backoff()).await;
                Ok(Verdict::Retry)
            }
            Err(WorkError::Import(failure)) => {
                claim.fail_import(database, failure).await?;
                Ok(Verdict::Delete)
            }
            Err(error) if matches!(error, WorkError::Database(_)) => Err(error),
            Err(error) if self.is_last() => {
                let settle = claim.settle(position, "failed", Some(error.to_string()));
                database.fetch_all::<(i64,)>(settle).await?;
                Err(error)
            }
            Err(error) => {
                claim.release(database).await?;
                self.hide(self.backoff()).await;
                Err(error)
            }
        }
    }

    /// Postpones a message that is not at fault. Its last delivery is replaced by a new message, which would
    /// otherwise go to the dead-letter queue.
    async fn postpone(&self, message: &Message, time: Duration) -> Verdict {
        if self.is_last() && !message.is_too_old() {
            match self
                .worker
                .imports
                .queue
                .send(&[message.json()], time)
                .await
            {
                Ok(()) => return Verdict::Delete,
                Err(error) => tracing::error!(%error, "cannot resend a message"),
            }
        }
        self.hide(time).await;
        Verdict::Retry
    }

    fn is_last(&self) -> bool {
        self.delivery.receives >= self.worker.imports.config.max_receives
    }

    /// Backoff: 4, 15, 60, 240 s with the default lease.
    fn backoff(&self) -> Duration {
        let exponent = u32::try_from(self.delivery.receives - 1).unwrap_or_default();
        (self.worker.imports.config.lease / 32 * 4_u32.pow(exponent.min(4)))
            .min(Duration::from_mins(10))
    }

    async fn hide(&self, time: Duration) {
        lock(self.open).close(&self.delivery.receipt);
        let receipts = [self.delivery.receipt.clone()];
        if let Err(error) = self.worker.imports.queue.hide(&receipts, time).await {
            tracing::debug!(%error, "cannot set the message's visibility timeout");
        }
    }
}

impl Imports {
    /// Sends messages.
    pub(super) async fn send(&self, messages: &[String]) -> Result<(), WorkError> {
        self.queue
            .send(messages, Duration::ZERO)
            .await
            .map_err(|error: AwsError| {
                WorkError::failed("the import queue did not accept a message", chain(&error))
            })
    }
}
