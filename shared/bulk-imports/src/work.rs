//! A worker: what one delivery of a message comes to.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use futures_util::future::{Either, select};

use super::{
    Imports, alone,
    ended::{Ended, WorkError},
    lease::{Open, lock, renew},
    message::Message,
    part, plan,
    rows::{Hold, Part, Take},
};
use crate::{State, aws::AwsError, cause::chain};

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
    Settled,
    /// Deliver it again, or give it up if that was the last time.
    Again,
}

/// The time before the end of an invocation in which nothing new is begun.
const RESERVE: Duration = Duration::from_secs(10);

/// Works through the deliveries of one invocation, which ends at `deadline`; `worker` is its own name.
/// The verdicts are in the order of the deliveries.
///
/// Whatever happens to this process, nothing is lost: a message is settled only after what it asked for
/// is durable, and until then it comes back when this worker is silent for longer than the lease.
pub async fn work(
    state: &State,
    imports: &Imports,
    worker: &str,
    deliveries: &[Delivery],
    deadline: Instant,
) -> Vec<Verdict> {
    let open: Mutex<Open> = Mutex::new(Open {
        receipts: deliveries
            .iter()
            .map(|delivery| delivery.receipt.clone())
            .collect(),
        hold: None,
    });
    let verdicts = async {
        let mut verdicts = Vec::with_capacity(deliveries.len());
        for delivery in deliveries {
            let delivered = Delivered {
                state,
                imports,
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
    match select(Box::pin(verdicts), Box::pin(renew(state, imports, &open))).await {
        Either::Left((verdicts, _)) => verdicts,
        Either::Right((never, _)) => match never {},
    }
}

/// One delivery, with all that is needed for it.
struct Delivered<'a> {
    state: &'a State,
    imports: &'a Imports,
    worker: &'a str,
    delivery: &'a Delivery,
    open: &'a Mutex<Open>,
    until: Instant,
}

impl Delivered<'_> {
    async fn verdict(&self) -> Verdict {
        let Ok(message) = serde_json::from_str::<Message>(&self.delivery.body) else {
            tracing::error!("a message is none of Rappel's; the queue will give it up");
            return Verdict::Again;
        };
        let hold = Hold {
            message,
            worker: self.worker.to_owned(),
            lease: self.imports.config.lease,
            receives: self.delivery.receives,
        };
        let (import, part) = (hold.message.import.as_str(), hold.message.part);
        if Instant::now() >= self.until {
            return self.later(&hold.message, Duration::ZERO).await;
        }
        let outcome = match hold.message.position {
            Some(position) => self.line(&hold, position).await,
            None => self.part(&hold).await,
        };
        match outcome {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::warn!(import, part, cause = %chain(&error), "a message is kept for later");
                match error {
                    // It cannot even be told of the failure: as long as that may pass, the message stays.
                    WorkError::Database(_) => self.later(&hold.message, self.backoff()).await,
                    _ => Verdict::Again,
                }
            }
        }
    }

    async fn part(&self, hold: &Hold) -> Result<Verdict, WorkError> {
        let database = self.state.database();
        let mut part = match hold.take_part(database).await? {
            Take::Taken(part) => part,
            Take::Held(time) => return Ok(self.later(&hold.message, time).await),
            Take::Over => return Ok(Verdict::Settled),
        };
        if self.is_last() && part.attempts < self.imports.config.max_receives {
            // The deliveries were used up by deaths with progress in between, or before the part was
            // taken: it deserves new ones.
            hold.release(database).await?;
            return Ok(self.later(&hold.message, Duration::ZERO).await);
        }
        lock(self.open).hold = Some(hold.clone());
        let outcome = self.run(hold, &mut part).await;
        match outcome {
            Ok(Ended::Unfinished) => {
                hold.release(database).await?;
                self.imports.send(&[hold.message.json()]).await?;
                Ok(Verdict::Settled)
            }
            Ok(_) => {
                hold.finish(database, None).await?;
                Ok(Verdict::Settled)
            }
            Err(WorkError::Import(failure)) => {
                tracing::warn!(import = hold.message.import, failure, "the import ends");
                hold.fail_import(database, failure).await?;
                Ok(Verdict::Settled)
            }
            Err(error @ WorkError::Database(_)) => {
                // If this fails as well, the lease ends by itself.
                let _ = hold.release(database).await;
                Err(error)
            }
            Err(WorkError::TakenOver) => Ok(self.later(&hold.message, hold.lease).await),
            Err(error @ WorkError::Failed { .. }) => {
                if self.is_last() {
                    hold.finish(database, Some(error.to_string())).await?;
                } else {
                    hold.release(database).await?;
                    self.hide(self.backoff()).await;
                }
                Err(error)
            }
        }
    }

    /// The work on a part that was taken.
    async fn run(&self, hold: &Hold, part: &mut Part) -> Result<Ended, WorkError> {
        if hold.message.part == 0 {
            let database = self.state.database();
            plan::plan(self.imports, database, hold, part, self.until).await?;
            return Ok(Ended::Done);
        }
        let ended = part::work(self.state, self.imports, hold, part, self.until).await?;
        if matches!(ended, Ended::Done) {
            // The messages are sent before the part is done, so none of these lines can be forgotten.
            let alone = hold.retrying(self.state.database()).await?;
            let messages: Vec<String> = alone
                .into_iter()
                .map(|(position, reason)| hold.message.of_line(position, reason).json())
                .collect();
            self.imports.send(&messages).await?;
        }
        Ok(ended)
    }

    async fn line(&self, hold: &Hold, position: i64) -> Result<Verdict, WorkError> {
        let database = self.state.database();
        let line = match hold.take_line(database, position).await? {
            Take::Taken(line) => line,
            Take::Held(time) => return Ok(self.later(&hold.message, time).await),
            Take::Over => return Ok(Verdict::Settled),
        };
        if self.is_last() && line.attempts < self.imports.config.max_receives {
            // As of a part: it would be given up without having been tried as often.
            hold.release(database).await?;
            return Ok(self.later(&hold.message, Duration::ZERO).await);
        }
        lock(self.open).hold = Some(hold.clone());
        let outcome = alone::work(self.state, self.imports, hold, &line, self.is_last()).await;
        match outcome {
            Ok(Ended::Done | Ended::Unfinished) => Ok(Verdict::Settled),
            Ok(Ended::GivenUp) => Ok(Verdict::Again),
            Ok(Ended::Again) => {
                hold.release(database).await?;
                self.hide(self.backoff()).await;
                Ok(Verdict::Again)
            }
            Err(WorkError::Import(failure)) => {
                hold.fail_import(database, failure).await?;
                Ok(Verdict::Settled)
            }
            Err(error) if matches!(error, WorkError::Database(_)) => Err(error),
            Err(error) if self.is_last() => {
                let settle = hold.settle(position, "failed", Some(error.to_string()));
                database.fetch_all::<(i64,)>(settle).await?;
                Err(error)
            }
            Err(error) => {
                hold.release(database).await?;
                self.hide(self.backoff()).await;
                Err(error)
            }
        }
    }

    /// Keeps a message that is not at fault. Its last delivery is replaced by a new message, since the
    /// queue would give it up.
    async fn later(&self, message: &Message, time: Duration) -> Verdict {
        if self.is_last() && !message.is_too_old() {
            match self.imports.queue.send(&[message.json()], time).await {
                Ok(()) => return Verdict::Settled,
                Err(error) => tracing::error!(%error, "a message could not be sent again"),
            }
        }
        self.hide(time).await;
        Verdict::Again
    }

    fn is_last(&self) -> bool {
        self.delivery.receives >= self.imports.config.max_receives
    }

    /// 4, 15, 60, 240 s with the default lease.
    fn backoff(&self) -> Duration {
        let exponent = u32::try_from(self.delivery.receives - 1).unwrap_or_default();
        (self.imports.config.lease / 32 * 4_u32.pow(exponent.min(4))).min(Duration::from_mins(10))
    }

    async fn hide(&self, time: Duration) {
        lock(self.open).close(&self.delivery.receipt);
        let receipts = [self.delivery.receipt.clone()];
        if let Err(error) = self.imports.queue.hide(&receipts, time).await {
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
