//! A part: its lines are read, checked, embedded and stored, batch by batch.
//!
//! A batch and the note of how far the part is are one transaction: whenever the worker dies, what is
//! stored is what is noted.

use std::time::{Duration, Instant};

use super::{
    Imports,
    ended::{Ended, WorkError, reason},
    line_rows::LineRow,
    lines::{Line, Lines},
    rows::{Hold, Part},
};
use crate::{
    Error, State,
    cause::chain,
    documents::{self, BatchLoad, LINE_LIMIT, Prepared},
    embedder::Manifest,
};

/// Documents, and bytes of lines, that are embedded and stored together. What a worker that dies has to
/// do again is one of these.
const BATCH: usize = 32;
const BATCH_BYTES: usize = 1024 * 1024;

/// A line that was read, and what is to be done with it.
struct Entry {
    position: i64,
    end: i64,
    /// Its number in the part.
    line: i64,
    content: Content,
}

enum Content {
    Document(Box<Prepared>),
    /// It is no document.
    Refused(String),
    /// It is a document that is to be tried alone.
    Alone {
        id: String,
        reason: String,
    },
}

/// Works on a part until it is done or `until` has come. What it has done is in `part`.
pub(super) async fn work(
    state: &State,
    imports: &Imports,
    hold: &Hold,
    part: &mut Part,
    until: Instant,
) -> Result<Ended, WorkError> {
    let (object, base) = part.place.object(&imports.config.bucket);
    let range = (part.position - base).unsigned_abs()..(part.place.last - base).unsigned_abs();
    let mut lines = Lines::open(&imports.s3, &object, range).await?;
    // A worker died with the batch that begins here. One by one, at most one of its documents is in the
    // way; the next worker leaves that one to a message of its own.
    let mut careful = if part.attempts > 1 { BATCH } else { 0 };
    let mut suspect = part.attempts > 2;
    let mut longest = Duration::ZERO;
    let mut store = Store { state, hold, part };
    loop {
        let begun = Instant::now();
        if begun + longest * 2 > until {
            return Ok(Ended::Unfinished);
        }
        let size = if careful > 0 { 1 } else { BATCH };
        careful = careful.saturating_sub(1);
        let mut entries = read(&mut lines, base, size, store.part.lines).await?;
        if entries.is_empty() {
            return Ok(Ended::Done);
        }
        if std::mem::take(&mut suspect) {
            set_apart(&mut entries, "a worker died with it, or with a neighbour");
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
) -> Result<Vec<Entry>, WorkError> {
    let mut entries = Vec::with_capacity(size);
    let (mut bytes, mut number) = (0, before);
    while entries.len() < size && bytes < BATCH_BYTES {
        let Some(line) = lines.next().await? else {
            break;
        };
        number += 1;
        bytes += line.text.as_ref().map_or(0, Vec::len);
        let place = |at: u64| base + i64::try_from(at).unwrap_or(i64::MAX);
        entries.push(Entry {
            position: place(line.range.start),
            end: place(line.range.end),
            line: number,
            content: content(&line),
        });
    }
    Ok(entries)
}

fn content(line: &Line) -> Content {
    let Some(text) = &line.text else {
        return Content::Refused(format!("is longer than {LINE_LIMIT} bytes"));
    };
    match document(text) {
        Ok(document) => Content::Document(Box::new(document)),
        Err(reason) => Content::Refused(reason),
    }
}

/// Reads and checks the document of a line. A blank line is refused without a reason.
pub(super) fn document(text: &[u8]) -> Result<Prepared, String> {
    // Some editors begin files with this mark.
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err(String::new());
    }
    let document = documents::read_line(text)?;
    BatchLoad::check(document).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })
}

fn set_apart(entries: &mut [Entry], reason: &str) {
    for entry in entries {
        if let Content::Document(document) = &entry.content {
            entry.content = Content::Alone {
                id: document.id().to_owned(),
                reason: reason.to_owned(),
            };
        }
    }
}

/// Stores the lines of a part.
struct Store<'a> {
    state: &'a State,
    hold: &'a Hold,
    part: &'a mut Part,
}

impl Store<'_> {
    /// Stores a batch; if one of its documents is in the way of the others, that one is set apart.
    async fn batch(&mut self, entries: Vec<Entry>) -> Result<(), WorkError> {
        let mut reason = match self.together(&entries).await? {
            Stored::Yes => return Ok(()),
            Stored::No(reason) => reason,
        };
        let alone = entries.len() == 1;
        for entry in entries {
            let mut entry = [entry];
            if !alone {
                match self.together(&entry).await? {
                    Stored::Yes => continue,
                    Stored::No(why) => reason = why,
                }
            }
            set_apart(&mut entry, &reason);
            if let Stored::No(reason) = self.together(&entry).await? {
                return Err(WorkError::Failed(reason));
            }
        }
        Ok(())
    }

    /// Stores entries that follow each other, with the note that they are done: all or nothing.
    async fn together(&mut self, entries: &[Entry]) -> Result<Stored, WorkError> {
        let documents: Vec<Prepared> = entries
            .iter()
            .filter_map(|entry| match &entry.content {
                Content::Document(document) => Some((**document).clone()),
                Content::Refused(_) | Content::Alone { .. } => None,
            })
            .collect();
        let (fresh, unchanged) = match prepare(self.state, documents).await? {
            Ok(prepared) => prepared,
            Err(reason) => return Ok(Stored::No(reason)),
        };
        let rows = rows(entries);
        let mut done = self.part.clone();
        if let Some(last) = entries.last() {
            (done.position, done.lines) = (last.end, last.line);
        }
        done.stored += count(fresh.len());
        done.unchanged += count(unchanged);
        done.refused += count(rows.iter().filter(|row| row.outcome == "refused").count());
        match self.write(&done, &fresh, &rows).await {
            Ok(()) => {
                *self.part = done;
                Ok(Stored::Yes)
            }
            Err(WorkError::Database(error)) if error.may_blame_values() => {
                Ok(Stored::No(reason(&chain(&error))))
            }
            Err(error) => Err(error),
        }
    }

    async fn write(
        &self,
        done: &Part,
        fresh: &[Prepared],
        rows: &[LineRow],
    ) -> Result<(), WorkError> {
        let mut transaction = self.state.database().begin().await?;
        if !fresh.is_empty() {
            documents::upsert_within(&mut transaction, model(self.state)?, fresh).await?;
        }
        if !self.hold.advance(&mut transaction, done, rows).await? {
            // Dropped, the transaction takes back what it stored.
            return Err(WorkError::TakenOver);
        }
        Ok(transaction.commit().await?)
    }
}

/// Whether a batch was stored, or what one of its documents, or their number, was in the way of.
enum Stored {
    Yes,
    No(String),
}

/// Embeds those of the documents that are not stored as they are, and answers them with the number of the
/// others; or why one of them cannot be embedded.
pub(super) async fn prepare(
    state: &State,
    documents: Vec<Prepared>,
) -> Result<Result<(Vec<Prepared>, usize), String>, WorkError> {
    if documents.is_empty() {
        return Ok(Ok((documents, 0)));
    }
    let batch = BatchLoad::sort(state.database(), documents).await?;
    let fresh = [batch.new, batch.changed].concat();
    if fresh.is_empty() {
        return Ok(Ok((fresh, batch.unchanged)));
    }
    match state.embed_documents(fresh).await {
        Ok(fresh) => Ok(Ok((fresh, batch.unchanged))),
        Err(error) => Ok(Err(reason(&chain(&error)))),
    }
}

/// The recipe of the embeddings.
pub(super) fn model(state: &State) -> Result<&str, WorkError> {
    let manifest = state.manifest();
    manifest
        .map(Manifest::recipe)
        .map_err(|error: Error| WorkError::Failed(error.to_string()))
}

fn rows(entries: &[Entry]) -> Vec<LineRow> {
    let row = |entry: &Entry| {
        let (outcome, document_id, text) = match &entry.content {
            Content::Refused(text) if !text.is_empty() => ("refused", None, text),
            Content::Alone { id, reason } => ("retrying", Some(id.clone()), reason),
            Content::Document(_) | Content::Refused(_) => return None,
        };
        Some(LineRow {
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
