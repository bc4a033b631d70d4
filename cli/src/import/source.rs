//! The imported file, or stdin.

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
use records::{self, Lines};

/// The lines of a file, and how much of it has been read.
pub(super) struct Source {
    pub(super) lines: Lines,
    pub(super) bar: ProgressBar,
    read: Arc<AtomicU64>,
}

impl Source {
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
        Ok(Self { lines, bar, read })
    }

    /// Shows how much has been read.
    pub(super) fn show(&self) {
        self.bar.set_position(self.read.load(Ordering::Relaxed));
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
