//! The outcomes of the lines of an import.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};

use super::place::Place;
use crate::terminal::note;

/// Bad lines, and lines that replace others, to report one by one.
const TOLD: usize = 20;

/// The counts so far. Each line is one of stored, unchanged, replaced and bad.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) stored: AtomicU64,
    pub(super) chunks: AtomicU64,
    pub(super) unchanged: AtomicU64,
    /// Documents of files that are gone.
    pub(super) deleted: AtomicU64,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    bad: Vec<Bad>,
    replaced: Vec<Replaced>,
    /// Why the file could not be read to its end.
    broken: Option<String>,
    /// Files of other formats, by extension.
    skipped: BTreeMap<String, u64>,
}

/// A line, or a file, that is not a valid document.
#[derive(Clone, Debug, Serialize)]
struct Bad {
    #[serde(flatten)]
    place: Place,
    reason: String,
}

/// A line whose document a later line with the same id replaced.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Replaced {
    pub(super) id: String,
    #[serde(rename = "line", serialize_with = "Place::short")]
    pub(super) place: Place,
    #[serde(serialize_with = "Place::short")]
    pub(super) by: Place,
}

impl Tally {
    pub(super) fn bad(&self, place: Place, reason: String, bar: &ProgressBar) {
        let mut notes = self.notes();
        if notes.bad.len() < TOLD {
            bar.suspend(|| note(&format!("{place}: {reason}")));
        }
        notes.bad.push(Bad { place, reason });
    }

    pub(super) fn replaced(&self, replaced: Replaced, bar: &ProgressBar) {
        let mut notes = self.notes();
        if notes.replaced.len() < TOLD {
            let Replaced { id, place, by } = &replaced;
            bar.suspend(|| {
                note(&format!("{by} replaces {place}: both have the id {id}"));
            });
        }
        notes.replaced.push(replaced);
    }

    pub(super) fn broken(&self, reason: String, bar: &ProgressBar) {
        bar.suspend(|| note(&format!("the file cannot be read further: {reason}")));
        self.notes().broken = Some(reason);
    }

    /// Reports files of other formats, by their extensions.
    pub(super) fn skipped(&self, skipped: BTreeMap<String, u64>) {
        if !skipped.is_empty() {
            let kinds = skipped
                .iter()
                .map(|(extension, count)| match extension.as_str() {
                    "" => format!("{count} without an extension"),
                    extension => format!("{count} .{extension}"),
                });
            let kinds: Vec<String> = kinds.collect();
            note(&format!(
                "files of other formats are left out: {}",
                kinds.join(", ")
            ));
        }
        self.notes().skipped = skipped;
    }

    /// Reports how many were not listed.
    pub(super) fn tell_rest(&self) {
        let notes = self.notes();
        if notes.bad.len() > TOLD {
            note(&format!(
                "and {} more bad lines; --json lists them all",
                notes.bad.len() - TOLD
            ));
        }
        if notes.replaced.len() > TOLD {
            note(&format!(
                "and {} more lines that replace others; --json lists them all",
                notes.replaced.len() - TOLD
            ));
        }
    }

    /// The exit status: 0 if every line is stored, 3 if some are not, 1 if none is.
    pub(super) fn status(&self) -> u8 {
        let notes = self.notes();
        if notes.bad.is_empty() && notes.replaced.is_empty() && notes.broken.is_none() {
            0
        } else if count(&self.stored) + count(&self.unchanged) > 0 {
            3
        } else {
            1
        }
    }

    pub(super) fn json(&self, loading: Duration, indexing: Duration) -> Value {
        let notes = self.notes();
        json!({
            "documents": count(&self.stored),
            "chunks": count(&self.chunks),
            "unchanged": count(&self.unchanged),
            "bad_lines": notes.bad.len(),
            "replaced_lines": notes.replaced.len(),
            "bad": notes.bad,
            "replaced": notes.replaced,
            "broken": notes.broken,
            "deleted": count(&self.deleted),
            "skipped": notes.skipped,
            "loading_s": loading.as_secs_f64(),
            "indexing_s": indexing.as_secs_f64(),
        })
    }

    pub(super) fn text(&self, loading: Duration, indexing: Duration) -> String {
        let notes = self.notes();
        let (stored, seconds) = (count(&self.stored), loading.as_secs_f64());
        let deleted = match count(&self.deleted) {
            0 => String::new(),
            deleted => format!(", {deleted} deleted"),
        };
        format!(
            "{stored} documents stored in {} chunks, {} unchanged, {} bad lines, {} replaced lines{deleted}; {seconds:.0} s \
             at {:.0} documents a second, index {:.0} s",
            count(&self.chunks),
            count(&self.unchanged),
            notes.bad.len(),
            notes.replaced.len(),
            stored as f64 / seconds.max(0.001),
            indexing.as_secs_f64(),
        )
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
