//! A worker: what one delivery of a message comes to.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use aws::AwsError;
use futures_util::future::{Either, select};
use telemetry::chain;

use super::{
    Imports, Worker,
    attempt::{Attempt, WorkError},
    in_flight::{InFlight, lock, renew},
    message::Message,
    part, plan, single,
    state::{Claim, Claimed, Part},
};

/// A message as the queue delivered it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its body.
    pub body: String,
    /// By which the queue knows this delivery.
    pub receipt: String,
    /// How often it has been delivered, this time included.
    pub receives: i32,
}

/// What the queue is to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forget it: nothing is left to do, or another message says so.
    Delete,
    /// Deliver it again, or give it up if that was the last time.
    Retry,
}

/// The time before the end of an invocation in which nothing new is begun.
const RESERVE: Duration = Duration::from_secs(10);

/// Works through the deliveries of one invocation, which ends at `deadline`. The verdicts are in the order of the deliveries.
///
/// Whatever happens to this process, nothing is lost: a message is settled only after what it asked for
/// is durable, and until then it comes back when this worker is silent for longer than the lease.
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
    // Side by side, so that what waits for the one connection to the database does not wait for ever.
    match select(Box::pin(verdicts), Box::pin(renew(worker, &open))).await {
        Either::Left((verdicts, _)) => verdicts,
        Either::Right((never, _)) => match never {},
    }
}

/// One delivery, with all that is needed for it.
struct Delivered<'a> {
    worker: &'a Worker<'a>,
    delivery: &'a Delivery,
    open: &'a Mutex<InFlight>,
    until: Instant,
}

impl Delivered<'_> {
    async fn verdict(&self) -> Verdict {
        let Ok(message) = serde_json::from_str::<Message>(&self.delivery.body) else {
            tracing::error!("a message is none of Rappel's; the queue will give it up");
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
            return self.later(&claim.message, Duration::ZERO).await;
        }
        let outcome = match claim.message.position {
            Some(position) => self.line(&claim, position).await,
            None => self.part(&claim).await,
        };
        match outcome {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::warn!(import, part, cause = %chain(&error), "a message is kept for later");
                match error {
                    // It cannot even be told of the failure: as long as that may pass, the message stays.
                    WorkError::Database(_) => self.later(&claim.message, self.backoff()).await,
                    _ => Verdict::Retry,
                }
            }
        }
    }

    async fn part(&self, claim: &Claim) -> Result<Verdict, WorkError> {
        let database = self.worker.database;
        let mut part = match claim.claim_part(database).await? {
            Claimed::Yes(part) => part,
            Claimed::Leased(time) => return Ok(self.later(&claim.message, time).await),
            Claimed::Over => return Ok(Verdict::Delete),
        };
        if self.is_last() && part.attempts < self.worker.imports.config.max_receives {
            // The deliveries were used up by deaths with progress in between, or before the part was
            // taken: it deserves new ones.
            claim.release(database).await?;
            return Ok(self.later(&claim.message, Duration::ZERO).await);
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
                tracing::warn!(import = claim.message.import, failure, "the import ends");
                claim.fail_import(database, failure).await?;
                Ok(Verdict::Delete)
            }
            Err(error @ WorkError::Database(_)) => {
                // If this fails as well, the lease ends by itself.
                let _ = claim.release(database).await;
                Err(error)
            }
            Err(WorkError::LeaseLost) => Ok(self.later(&claim.message, claim.lease).await),
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

    /// The work on a part that was taken.
    async fn run(&self, claim: &Claim, part: &mut Part) -> Result<Attempt, WorkError> {
        if claim.message.part == 0 {
            let database = self.worker.database;
            plan::plan(self.worker.imports, database, claim, part, self.until).await?;
            return Ok(Attempt::Done);
        }
        let ended = part::work(self.worker, claim, part, self.until).await?;
        if matches!(ended, Attempt::Done) {
            // The messages are sent before the part is done, so none of these lines can be forgotten.
            let alone = claim.retrying(self.worker.database).await?;
            let messages: Vec<String> = alone
                .into_iter()
                .map(|(position, reason)| claim.message.of_line(position, reason).json())
                .collect();
            self.worker.imports.send(&messages).await?;
        }
        Ok(ended)
    }

    async fn line(&self, claim: &Claim, position: i64) -> Result<Verdict, WorkError> {
        let database = self.worker.database;
        let line = match claim.claim_line(database, position).await? {
            Claimed::Yes(line) => line,
            Claimed::Leased(time) => return Ok(self.later(&claim.message, time).await),
            Claimed::Over => return Ok(Verdict::Delete),
        };
        if self.is_last() && line.attempts < self.worker.imports.config.max_receives {
            // As of a part: it would be given up without having been tried as often.
            claim.release(database).await?;
            return Ok(self.later(&claim.message, Duration::ZERO).await);
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

    /// Keeps a message that is not at fault. Its last delivery is replaced by a new message, since the
    /// queue would give it up.
    async fn later(&self, message: &Message, time: Duration) -> Verdict {
        if self.is_last() && !message.is_too_old() {
            match self
                .worker
                .imports
                .queue
                .send(&[message.json()], time)
                .await
            {
                Ok(()) => return Verdict::Delete,
                Err(error) => tracing::error!(%error, "a message could not be sent again"),
            }
        }
        self.hide(time).await;
        Verdict::Retry
    }

    fn is_last(&self) -> bool {
        self.delivery.receives >= self.worker.imports.config.max_receives
    }

    /// 4, 15, 60, 240 s with the default lease.
    fn backoff(&self) -> Duration {
        let exponent = u32::try_from(self.delivery.receives - 1).unwrap_or_default();
        (self.worker.imports.config.lease / 32 * 4_u32.pow(exponent.min(4)))
            .min(Duration::from_mins(10))
    }

    async fn hide(&self, time: Duration) {
        lock(self.open).close(&self.delivery.receipt);
        let receipts = [self.delivery.receipt.clone()];
        if let Err(error) = self.worker.imports.queue.hide(&receipts, time).await {
            tracing::debug!(%error, "the message comes back at the queue's own time");
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
                WorkError::failed("the queue of imports took no message", chain(&error))
            })
    }
}
