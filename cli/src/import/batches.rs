//! Makes batches of documents from lines; of two documents with one id, the later one is stored last.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher as _, RandomState},
    sync::{Condvar, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use anyhow::bail;
use document_store::Prepared;
use tokio::sync::mpsc;

use super::{
    files::Item,
    opened::OpenedInput,
    place::Place,
    tally::{Replaced, Tally},
};
use crate::model::threads;

/// Documents of a batch, at first and at most. Small first batches keep all cores busy with a small import; large
/// ones have more documents of similar length, and so less padding. An interrupted batch is repeated.
const SIZE: (usize, usize) = (128, 512);

/// The size of a core's next batch as a share of its work so far, so that no core runs long after the others.
const SHARE: usize = 8;

/// How often a reader that waits for a batch checks that its worker still lives.
const LOOK: Duration = Duration::from_millis(100);

/// Documents with the number of their batch.
pub(super) struct Numbered {
    pub(super) number: u64,
    pub(super) documents: Vec<Prepared>,
}

/// Which batches are stored.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// By number, with the hashes of the ids of unchanged documents.
    batches: Mutex<HashMap<u64, HashSet<u64>>>,
    one_more: Condvar,
    hasher: RandomState,
}

/// Where an id was seen last.
struct Seen {
    place: Place,
    /// A part of the document's hash.
    document: u64,
    batch: u64,
}

/// Reads the lines of a file and sends them on in batches.
pub(super) struct Batches<'a> {
    strict: bool,
    tally: &'a Tally,
    stored: &'a Stored,
    sender: mpsc::Sender<Numbered>,
    batch: Vec<Prepared>,
    number: u64,
    sent: usize,
    /// By the hashes of the ids.
    seen: HashMap<u64, Seen>,
}

impl Stored {
    /// Notes that a batch is stored, with its `unchanged` documents.
    pub(super) fn add<'a>(&self, number: u64, unchanged: impl Iterator<Item = &'a str>) {
        let unchanged = unchanged.map(|id| self.hasher.hash_one(id)).collect();
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.insert(number, unchanged);
        self.one_more.notify_all();
    }

    /// Waits until a batch is stored, and returns whether the document with the hash `id` was unchanged; `None` if its
    /// worker stopped.
    fn wait(&self, number: u64, id: u64, has_stopped: impl Fn() -> bool) -> Option<bool> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(unchanged) = batches.get(&number) {
                return Some(unchanged.contains(&id));
            }
            if has_stopped() {
                return None;
            }
            let waited = self.one_more.wait_timeout(batches, LOOK);
            batches = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl<'a> Batches<'a> {
    pub(super) fn new(
        strict: bool,
        tally: &'a Tally,
        stored: &'a Stored,
        sender: mpsc::Sender<Numbered>,
    ) -> Self {
        Self {
            strict,
            tally,
            stored,
            sender,
            batch: Vec::new(),
            number: 0,
            sent: 0,
            seen: HashMap::new(),
        }
    }

    /// Reads the file to its end, or until all workers stop.
    pub(super) fn read(mut self, mut input: OpenedInput) -> anyhow::Result<()> {
        while let Some(item) = input.items.next() {
            let Item { place, line } = match item {
                Ok(item) => item,
                Err(error) => {
                    self.tally.broken(error.to_string(), &input.bar);
                    break;
                }
            };
            match line.and_then(|line| Prepared::read(&line)) {
                Ok(document) => {
                    if !self.add(document, place, &input) {
                        return Ok(());
                    }
                }
                Err(reason) if self.strict => bail!("{place}: {reason}"),
                Err(reason) => self.tally.bad(place, reason, &input.bar),
            }
            if self.batch.len() >= size(self.sent, threads()) {
                input.show();
                if !self.send() {
                    return Ok(());
                }
            }
        }
        self.send();
        Ok(())
    }

    /// Puts a document into the batch; false if all workers stopped.
    fn add(&mut self, document: Prepared, place: Place, input: &OpenedInput) -> bool {
        let id = self.stored.hasher.hash_one(document.id());
        let seen = Seen {
            place: place.clone(),
            document: self.stored.hasher.hash_one(document.hash()),
            batch: self.number,
        };
        let hash = seen.document;
        match self.seen.insert(id, seen) {
            None => self.batch.push(document),
            Some(earlier) if earlier.document == hash => {
                self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
                // It is where it was.
                self.seen
                    .entry(id)
                    .and_modify(|seen| seen.batch = earlier.batch);
            }
            Some(earlier) => {
                if earlier.batch == self.number {
                    self.batch.retain(|other| other.id() != document.id());
                } else if !self.take_back(&earlier, id) {
                    return false;
                }
                let replaced = Replaced {
                    id: document.id().to_owned(),
                    place: earlier.place,
                    by: place,
                };
                self.tally.replaced(replaced, &input.bar);
                self.batch.push(document);
            }
        }
        true
    }

    /// Waits for the batch of an earlier document, so that it is not stored later, and no longer counts it.
    fn take_back(&self, earlier: &Seen, id: u64) -> bool {
        let has_stopped = || self.sender.is_closed();
        let Some(was_unchanged) = self.stored.wait(earlier.batch, id, has_stopped) else {
            return false;
        };
        let counted = if was_unchanged {
            &self.tally.unchanged
        } else {
            &self.tally.stored
        };
        counted.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Sends the batch; false if every worker stopped; one of them has the error.
    fn send(&mut self) -> bool {
        let batch = Numbered {
            number: self.number,
            documents: std::mem::take(&mut self.batch),
        };
        self.number += 1;
        self.sent += batch.documents.len();
        self.sender.blocking_send(batch).is_ok()
    }
}

/// Documents of the next batch, after so many for so many cores.
fn size(sent: usize, threads: usize) -> usize {
    let (first, most) = SIZE;
    (sent / (SHARE * threads)).clamp(first, most)
}
