//! Processes a part: reads, checks, embeds and stores its lines batch by batch.
//!
//! A batch and the part's new position are one transaction, so the recorded position is exact even if the
//! worker dies.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use database::DatabaseError;
use document_store::{Compared, Prepared, Retry, VisibilityParameters};
use telemetry::chain;

use super::{
    Worker,
    attempt::{Attempt, WorkError, not_stored, reason},
    ids::{self, Duplicate},
    lines::{Line, Lines},
    state::{Claim, LineOutcome, Part},
    usage,
};

/// Documents, and bytes of lines, per batch. A worker that dies costs one batch.
const BATCH: usize = 32;
const BATCH_BYTES: usize = 1024 * 1024;

/// A line and its outcome.
struct ReadLine {
    position: i64,
    end: i64,
    /// Its number within the part.
    line: i64,
    content: Content,
}

impl ReadLine {
    fn document(&self) -> Option<&Prepared> {
        match &self.content {
            Content::Document(document) => Some(document),
            _ => None,
        }
    }
}

enum Content {
    Document(Box<Prepared>),
    /// A later line has the same document.
    Repeated,
    /// A later line has this id and another document.
    Replaced(String),
    /// Not a valid document; with the reason.
    Refused(String),
    /// To be stored singly, by another message.
    Single {
        id: String,
        reason: String,
    },
}

/// Processes a part until it is done or `until` is reached. `part` holds the progress.
pub(super) async fn work(
    worker: &Worker<'_>,
    claim: &Claim,
    part: &mut Part,
    until: Instant,
) -> Result<Attempt, WorkError> {
    let (object, base) = part.place.object(&worker.imports.config.bucket);
    let range = (part.position - base).unsigned_abs()..(part.place.last - base).unsigned_abs();
    let mut lines = Lines::open(&worker.imports.s3, &object, range).await?;
    // A worker died with the batch that begins here. Stored one by one, at most one document fails; the next
    // worker gives that one a message for itself.
    let mut careful = if part.attempts > 1 { BATCH } else { 0 };
    let mut suspect = part.attempts > 2;
    let mut longest = Duration::ZERO;
    let mut store = Store {
        worker,
        claim,
        visibility: part.place.visibility(),
        part,
        counted: telemetry::usage().embedded_tokens,
    };
    loop {
        let begun = Instant::now();
        if begun + longest * 2 > until {
            return Ok(Attempt::Unfinished);
        }
        let size = if careful > 0 { 1 } else { BATCH };
        careful = careful.saturating_sub(1);
        let mut entries = read(&mut lines, base, size, store.part.lines).await?;
        mark_replaced(&mut entries);
        if entries.is_empty() {
            return Ok(Attempt::Done);
        }
        if std::mem::take(&mut suspect) {
            mark_single(
                &mut entries,
                "a worker died while processing it or a neighbouring document",
            );
        }
        store.batch(entries).await?;
        longest = longest.max(begun.elapsed());
    }
}

/// Reads the next lines.
async fn read(
    lines: &mut Lines<'_>,
    base: i64,
    size: usize,
    before: i64,
) -> Result<Vec<ReadLine>, WorkError> {
    let mut entries = Vec::with_capacity(size);
    let (mut bytes, mut number) = (0, before);
    while entries.len() < size && bytes < BATCH_BYTES {
        let Some(line) = lines.next().await? else {
            break;
        };
        number += 1;
        bytes += line.text.as_ref().map_or(0, Vec::len);
        let place = |at: u64| base + i64::try_from(at).unwrap_or(i64::MAX);
        entries.push(ReadLine {
            position: place(line.range.start),
            end: place(line.range.end),
            line: number,
            content: content(&line),
        });
    }
    Ok(entries)
}

fn content(line: &Line) -> Content {
    match &line.text {
        Err(refusal) => Content::Refused(refusal.to_string()),
        Ok(text) if text.trim_ascii().is_empty() => Content::Refused(String::new()),
        Ok(text) => match Prepared::read(text) {
            Ok(document) => Content::Document(Box::new(document)),
            Err(reason) => Content::Refused(reason),
        },
    }
}

/// Keeps the last of several documents with the same id.
fn mark_replaced(entries: &mut [ReadLine]) {
    // Ids and hashes: texts may be large.
    let mut last: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in entries.iter_mut().rev() {
        let Content::Document(document) = &entry.content else {
            continue;
        };
        match last.iter().find(|(id, _)| id == document.id()) {
            Some((_, hash)) if hash == document.hash() => entry.content = Content::Repeated,
            Some(_) => entry.content = Content::Replaced(document.id().to_owned()),
            None => last.push((document.id().to_owned(), document.hash().to_vec())),
        }
    }
}

fn mark_single(entries: &mut [ReadLine], reason: &str) {
    for entry in entries {
        if let Content::Document(document) = &entry.content {
            entry.content = Content::Single {
                id: document.id().to_owned(),
                reason: reason.to_owned(),
            };
        }
    }
}

/// Stores the lines of a part.
struct Store<'a> {
    worker: &'a Worker<'a>,
    claim: &'a Claim,
    visibility: VisibilityParameters,
    part: &'a mut Part,
    /// The embedded tokens of this invocation that are counted already.
    counted: u64,
}

impl Store<'_> {
    /// Stores a batch; a document that makes it fail is stored singly.
    async fn batch(&mut self, entries: Vec<ReadLine>) -> Result<(), WorkError> {
        let mut reason = match self.together(&entries).await? {
            Stored::Yes => return Ok(()),
            Stored::No(reason) => reason,
        };
        let is_single = entries.len() == 1;
        for entry in entries {
            let mut entry = [entry];
            if !is_single {
                match self.together(&entry).await? {
                    Stored::Yes => continue,
                    Stored::No(why) => reason = why,
                }
            }
            mark_single(&mut entry, &reason);
            if let Stored::No(reason) = self.together(&entry).await? {
                return Err(WorkError::failed("cannot record a line", reason));
            }
        }
        Ok(())
    }

    /// Stores consecutive entries and the new position: all or nothing.
    async fn together(&mut self, entries: &[ReadLine]) -> Result<Stored, WorkError> {
        let (mut compared, mut seen) = (None, false);
        let mut retry = Retry::default();
        loop {
            let documents: Vec<Prepared> = entries
                .iter()
                .filter_map(ReadLine::document)
                .cloned()
                .collect();
            let prepared =
                match prepare(self.worker, &self.visibility, documents, compared.take()).await? {
                    Ok(prepared) => prepared,
                    Err(reason) => return Ok(Stored::No(reason)),
                };
            match self.write(entries, &prepared, seen).await {
                Ok(Written::Yes(done)) => {
                    *self.part = *done;
                    self.counted = telemetry::usage().embedded_tokens;
                    return Ok(Stored::Yes);
                }
                Ok(Written::LeaseLost) => return Err(WorkError::LeaseLost),
                Ok(Written::Changed) => compared = Some(prepared.with_all_texts()),
                Ok(Written::Unseen) => seen = true,
                Err(error) if retry.again(&error).await => compared = Some(prepared),
                Err(error @ (DatabaseError::Limit(_) | DatabaseError::Removed)) => {
                    return Err(error.into());
                }
                Err(error) if error.may_blame_values() => {
                    return Ok(Stored::No(not_stored(&error)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn write(
        &self,
        entries: &[ReadLine],
        compared: &Compared,
        seen: bool,
    ) -> Result<Written, DatabaseError> {
        let mut transaction = self.worker.database.begin().await?;
        let lines: Vec<(i64, &Prepared)> = entries
            .iter()
            .filter_map(|entry| Some((entry.position, entry.document()?)))
            .collect();
        let duplicates = ids::claim(&mut transaction, &self.claim.message.import, &lines).await?;
        let is_later = |id: &&str| duplicates.get(*id) == Some(&Duplicate::Later);
        let unchanged = compared.unchanged_ids().filter(is_later).count();
        if unchanged > 0 && !seen {
            // The earlier line was stored after the comparison.
            return Ok(Written::Unseen);
        }
        let earlier: HashSet<&str> = duplicates
            .iter()
            .filter(|(_, meeting)| **meeting == Duplicate::Earlier)
            .map(|(id, _)| id.as_str())
            .collect();
        let left = compared.without(&earlier);
        if left
            .write_within(&mut transaction, self.worker.recipe)
            .await?
            .is_none()
        {
            return Ok(Written::Changed);
        }
        let rows = rows(entries, &duplicates);
        let mut done = self.part.clone();
        if let Some(last) = entries.last() {
            (done.position, done.lines) = (last.end, last.line);
        }
        let is_repeated = |entry: &&ReadLine| matches!(entry.content, Content::Repeated);
        // A line that replaces one of another batch is counted once.
        done.stored += count(left.to_store()) - count(duplicates.len() - earlier.len() - unchanged);
        done.unchanged +=
            count(left.unchanged() + entries.iter().filter(is_repeated).count()) - count(unchanged);
        done.refused += count(rows.iter().filter(|row| row.outcome == "refused").count());
        if !self.claim.advance(&mut transaction, &done, &rows).await? {
            // Dropping the transaction rolls back.
            return Ok(Written::LeaseLost);
        }
        let tokens = telemetry::usage().embedded_tokens - self.counted;
        usage::note(
            &mut transaction,
            &self.worker.imports.config,
            self.part.place.account(),
            left.to_store(),
            tokens,
        )
        .await?;
        transaction.commit().await?;
        Ok(Written::Yes(Box::new(done)))
    }
}

/// The outcome of writing a batch.
enum Written {
    /// Stored; the part's new progress.
    Yes(Box<Part>),
    /// Another worker holds the lease.
    LeaseLost,
    /// A document whose metadata alone was to change was changed by another writer.
    Changed,
    /// Another worker has just stored an earlier line with the same id.
    Unseen,
}

/// Whether a batch was stored, or the reason why not.
enum Stored {
    Yes,
    No(String),
}

/// Compares documents with the stored ones, unless `compared` is given, and embeds those that changed. Returns the
/// reason if one of them cannot be embedded.
pub(super) async fn prepare(
    worker: &Worker<'_>,
    visibility: &VisibilityParameters,
    documents: Vec<Prepared>,
    compared: Option<Compared>,
) -> Result<Result<Compared, String>, WorkError> {
    let compared = match compared {
        Some(compared) => compared,
        None if documents.is_empty() => Compared::default(),
        None => Compared::with_stored(worker.database, visibility, documents).await?,
    };
    let embedded = compared.embedded(worker.embed).await;
    Ok(embedded.map_err(|error| {
        tracing::warn!(cause = %chain(&*error), "cannot embed documents of an import");
        "it cannot be embedded; see the log for the cause".to_owned()
    }))
}

fn rows(entries: &[ReadLine], duplicates: &HashMap<String, Duplicate>) -> Vec<LineOutcome> {
    let row = |entry: &ReadLine| {
        let (outcome, document_id, text) = match &entry.content {
            Content::Refused(text) if !text.is_empty() => ("refused", None, text.as_str()),
            Content::Single { id, reason } => ("retrying", Some(id.clone()), reason.as_str()),
            Content::Replaced(id) => ("refused", Some(id.clone()), Duplicate::Earlier.reason()),
            Content::Document(document) => {
                let meeting = duplicates.get(document.id())?;
                ("refused", Some(document.id().to_owned()), meeting.reason())
            }
            Content::Repeated | Content::Refused(_) => return None,
        };
        Some(LineOutcome {
            position: entry.position,
            length: i32::try_from(entry.end - entry.position).unwrap_or(i32::MAX),
            line: entry.line,
            document_id,
            outcome,
            reason: reason(text),
        })
    };
    entries.iter().filter_map(row).collect()
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
