//! Files as lines of JSON, one for each document.

use std::{
    fs::{self, File},
    sync::Arc,
    time::UNIX_EPOCH,
    vec,
};

use extract::{Format, MAX_BYTES, Reason, Sandbox};
use indicatif::ProgressBar;
use records::{LINE_LIMIT, Line, Lines};
use serde_json::{Value, json};

use super::{
    found::{Found, Kind, size},
    place::Place,
};

/// A document, or why there is none.
pub(super) struct Item {
    pub(super) place: Place,
    pub(super) line: Result<Vec<u8>, String>,
}

/// The documents of files.
pub(super) struct Files {
    found: vec::IntoIter<Found>,
    sandbox: Sandbox,
    /// The file of several documents that is being read.
    open: Option<(Arc<str>, Lines)>,
    bar: ProgressBar,
}

/// Bytes of JSON of the longest `page_starts`, as metadata has at most 16 kB: passages of a longer file have no page.
const MAX_STARTS: usize = 12 * 1024;

impl Files {
    pub(super) fn new(files: Vec<Found>, sandbox: Sandbox, bar: ProgressBar) -> Self {
        Self {
            found: files.into_iter(),
            sandbox,
            open: None,
            bar,
        }
    }

    fn next_line(&mut self) -> Option<Item> {
        let (file, lines) = self.open.as_mut()?;
        let file = Arc::clone(file);
        match lines.next() {
            Some(Ok(line)) => Some(Item {
                place: Place::line_of(file, line.number),
                line: text(line),
            }),
            Some(Err(error)) => {
                self.open = None;
                let reason = format!("it cannot be read to its end: {error}");
                Some(Item::bad(file, reason))
            }
            None => {
                self.open = None;
                None
            }
        }
    }

    fn next_file(&mut self, found: &Found) -> Option<Item> {
        match found.kind {
            Kind::Document(format) => Some(Item {
                place: Place::file(found.label()),
                line: document(found, format, &self.sandbox),
            }),
            Kind::Records => match open(found) {
                Ok(lines) => {
                    self.open = Some((found.label(), lines));
                    None
                }
                Err(reason) => Some(Item::bad(found.label(), reason)),
            },
        }
    }
}

impl Iterator for Files {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.next_line() {
                return Some(item);
            }
            let found = self.found.next()?;
            self.bar.inc(1);
            if let Some(item) = self.next_file(&found) {
                return Some(item);
            }
        }
    }
}

impl Item {
    fn bad(file: Arc<str>, reason: String) -> Self {
        Self {
            place: Place::file(file),
            line: Err(reason),
        }
    }
}

/// The text of a line, which may be too long.
pub(super) fn text(line: Line) -> Result<Vec<u8>, String> {
    line.text
        .ok_or_else(|| format!("is longer than {LINE_LIMIT} bytes"))
}

fn open(found: &Found) -> Result<Lines, String> {
    let file = File::open(&found.path).map_err(|error| error.to_string())?;
    let text = records::open(file).map_err(|error| error.to_string())?;
    Ok(Lines::new(text))
}

/// The document of a file, as a line of JSON.
fn document(found: &Found, format: Format, sandbox: &Sandbox) -> Result<Vec<u8>, String> {
    let bytes = size(&found.path).map_err(|error| error.to_string())?;
    if bytes > MAX_BYTES as u64 {
        let detail = format!("it has {bytes} bytes; at most {MAX_BYTES} are read");
        return Err(Reason::Large(detail).to_string());
    }
    let bytes = fs::read(&found.path).map_err(|error| error.to_string())?;
    let extracted = sandbox
        .extract(bytes, format)
        .map_err(|reason| reason.to_string())?;
    let mut metadata = extracted.metadata;
    if metadata
        .get("page_starts")
        .is_some_and(|starts| starts.to_string().len() > MAX_STARTS)
    {
        metadata.remove("page_starts");
    }
    metadata.insert("folder".to_owned(), found.folder.as_ref().into());
    metadata.insert("path".to_owned(), found.below.as_str().into());
    if let Some(modified) = modified(found) {
        metadata.insert("modified".to_owned(), modified);
    }
    let title = match extracted.title.as_str() {
        "" => file_name(found),
        title => title,
    };
    let line = json!({
        "id": found.id,
        "title": title,
        "content": extracted.content,
        "metadata": metadata,
    });
    serde_json::to_vec(&line).map_err(|error| error.to_string())
}

/// The name of a file without its extension, which often says what it is about.
fn file_name(found: &Found) -> &str {
    let name = found.below.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

fn modified(found: &Found) -> Option<Value> {
    let modified = fs::metadata(&found.path).ok()?.modified().ok()?;
    let seconds = modified.duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(rfc3339(seconds).into())
}

/// RFC 3339 in UTC, of seconds since 1970.
fn rfc3339(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Years that begin in March end with the day that leap years have; 719,468 days before 1970 one of 400 begins.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
