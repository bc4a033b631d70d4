//! What is imported: a file of documents, stdin, or files and folders.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use records::{self, Line, Lines};

use super::{
    files::{Files, Item, text},
    place::Place,
};

/// An opened input: what may be a document, and how much has been read.
pub(super) struct OpenedInput {
    pub(super) items: Box<dyn Iterator<Item = io::Result<Item>> + Send>,
    pub(super) bar: ProgressBar,
    read: Option<Arc<AtomicU64>>,
}

impl OpenedInput {
    /// Opens a file of any format; `-` is stdin.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let (source, bytes): (Box<dyn Read + Send>, u64) = if path == Path::new("-") {
            (Box::new(io::stdin()), 0)
        } else {
            let file =
                File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?;
            let bytes = file.metadata().map_or(0, |metadata| metadata.len());
            (Box::new(file), bytes)
        };
        let counted = Counted {
            source,
            read: Arc::clone(&read),
        };
        let lines = records::open(counted)
            .map(Lines::new)
            .with_context(|| format!("{} cannot be imported", path.display()))?;
        let bar = ProgressBar::new(bytes).with_style(style(bytes));
        let items = lines.map(|line| line.map(item));
        Ok(Self {
            items: Box::new(items),
            bar,
            read: Some(read),
        })
    }

    /// The documents of files; `bar` counts these.
    pub(super) fn files(files: Files, bar: ProgressBar) -> Self {
        Self {
            items: Box::new(files.map(Ok)),
            bar,
            read: None,
        }
    }

    /// Shows how much has been read.
    pub(super) fn show(&self) {
        if let Some(read) = &self.read {
            self.bar.set_position(read.load(Ordering::Relaxed));
        }
    }
}

/// A bar that counts files.
pub(super) fn file_bar(files: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} files {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(files as u64).with_style(style)
}

fn item(line: Line) -> Item {
    Item {
        place: Place::line(line.number),
        line: text(line),
    }
}

/// Progress in bytes, since the number of lines is unknown.
fn style(bytes: u64) -> ProgressStyle {
    let template = if bytes > 0 {
        "{bar:30} {percent:>3}% {msg} · {eta} left"
    } else {
        "{bytes} read {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A reader that counts bytes.
struct Counted {
    source: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
