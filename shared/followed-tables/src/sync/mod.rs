//! The worker: leases keys, reads their rows, and stores their documents.

mod batch;
mod changes;
mod worker;

use std::time::{Duration, Instant};

use database::DatabaseError;

use self::{
    batch::{Batch, Stored},
    changes::{Change, Changes, Walked},
};
use super::state::{self, Source};

pub use self::worker::Worker;

/// The outcome of a worker's run.
#[derive(Debug, Default)]
pub struct Synced {
    /// Keys whose documents now equal their rows.
    pub settled: u64,
    /// Keys whose rows could not be stored in this run.
    pub failed: u64,
    /// Whether it ended for lack of time, with work left.
    pub unfinished: bool,
    /// The current sources; none if other workers are enough.
    pub sources: Vec<Source>,
}

/// Documents to embed and store together. At most so many are repeated after a worker dies.
const BATCH: i32 = 32;
/// Rows to note, or documents to check, at a time.
const PAGE: i32 = 1_000;
/// How often to look for work without keys.
const WATCH: Duration = Duration::from_secs(30);
/// The time before the end of an invocation in which nothing new begins.
const RESERVE: Duration = Duration::from_secs(10);
/// The number of dead workers after which a key is not retried for a while.
const DEATHS: i32 = 5;

/// Works until nothing is left to do, or `deadline` is near.
///
/// # Errors
/// When the database fails. Nothing is lost: another worker gets the keys after the lease.
pub async fn work(worker: &Worker<'_>, deadline: Instant) -> Result<Synced, DatabaseError> {
    let mut run = Run {
        worker,
        changes: Changes::of(worker),
        synced: Synced::default(),
        watched: None,
        waiting: Vec::new(),
        longest: Duration::ZERO,
    };
    if !run.changes.are_others_enough().await? {
        run.until(deadline.checked_sub(RESERVE).unwrap_or(deadline))
            .await?;
        run.synced.sources = state::all(worker.database).await?;
    }
    Ok(run.synced)
}

/// A run of a worker.
struct Run<'a> {
    worker: &'a Worker<'a>,
    changes: Changes<'a>,
    synced: Synced,
    /// When it last looked for work without keys.
    watched: Option<Instant>,
    /// Sources whose walk waits for an open transaction: asked at every turn, it would keep writers waiting.
    waiting: Vec<i32>,
    /// The longest batch so far.
    longest: Duration,
}

impl Run<'_> {
    async fn until(&mut self, end: Instant) -> Result<(), DatabaseError> {
        loop {
            let begun = Instant::now();
            if begun + self.longest * 2 > end {
                self.synced.unfinished = true;
                return Ok(());
            }
            if self.watched.is_none_or(|watched| watched.elapsed() > WATCH) {
                self.watched = Some(begun);
                self.waiting.clear();
                if self.changes.watch().await? == 0 {
                    return Ok(());
                }
            }
            let leased = self.changes.claim(BATCH).await?;
            if leased.is_empty() {
                match self.changes.walk(PAGE, &self.waiting).await? {
                    None => return Ok(()),
                    Some(Walked {
                        source,
                        noted: None,
                    }) => self.waiting.push(source),
                    Some(_) => {}
                }
                continue;
            }
            self.leased(leased).await?;
            self.longest = self.longest.max(begun.elapsed());
        }
    }

    /// Works on the leased keys, source by source. Tries a key with which a worker may have died alone.
    async fn leased(&mut self, leased: Vec<Change>) -> Result<(), DatabaseError> {
        let suspect = leased.iter().find(|change| change.attempts > 1).cloned();
        if let Some(suspect) = suspect {
            self.changes.release(Some(&suspect)).await?;
            if suspect.attempts > DEATHS && !suspect.had_failed {
                self.synced.failed += 1;
                let reason = format!("the worker died {DEATHS} times while processing it");
                return self.changes.fail(&suspect, &reason).await;
            }
            return self.together(vec![suspect]).await;
        }
        let mut rest = leased;
        while let Some(first) = rest.first() {
            let source = first.source_id;
            let (batch, others) = rest
                .into_iter()
                .partition(|change| change.source_id == source);
            rest = others;
            self.together(batch).await?;
        }
        Ok(())
    }

    /// Stores the documents of changes of one source; one by one if a value prevents it.
    async fn together(&mut self, changes: Vec<Change>) -> Result<(), DatabaseError> {
        let batch = Batch::new(self.worker, &self.changes);
        let reason = match batch.store(&changes).await? {
            Stored::Yes { settled, failed } => {
                self.synced.settled += settled;
                self.synced.failed += failed;
                return Ok(());
            }
            // Another worker has some of them, or the source has changed.
            Stored::LeaseLost => return self.changes.release(None).await,
            Stored::Unreadable(why) => {
                return self.changes.release_failed(&changes, why).await;
            }
            Stored::No(reason) => reason,
        };
        if let [change] = changes.as_slice() {
            self.synced.failed += 1;
            return self.changes.fail(change, &reason).await;
        }
        for change in changes {
            Box::pin(self.together(vec![change])).await?;
        }
        Ok(())
    }
}
