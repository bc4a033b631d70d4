//! Files as lines of JSON, one for each document.

use std::{
    fs::{self, File},
    sync::Arc,
    vec,
};

use extract::{Format, MAX_BYTES, Origin, Reason, Sandbox};
use indicatif::ProgressBar;
use records::{Line, Lines};

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

/// The text of a line, or why it has none.
pub(super) fn text(line: Line) -> Result<Vec<u8>, String> {
    line.text.map_err(|refusal| refusal.to_string())
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
    let metadata = fs::metadata(&found.path).ok();
    let origin = Origin {
        id: &found.id,
        path: &found.below,
        folder: Some(&found.folder),
        modified: metadata.and_then(|metadata| metadata.modified().ok()),
    };
    extracted.line(&origin).map_err(|error| error.to_string())
}
