//! A file of documents, one JSON object a line, compressed or not.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use flate2::read::MultiGzDecoder;
use liblzma::read::XzDecoder;
use shared::documents::{self, DocumentInput, LINE_LIMIT};

/// The lines of a file, with the number of bytes read of it so far.
pub(crate) struct Lines {
    reader: Box<dyn BufRead + Send>,
    number: u64,
    read: Arc<AtomicU64>,
}

/// One line: its number from 1, and the document or what is wrong with it.
pub(crate) struct Line {
    pub(crate) number: u64,
    pub(crate) document: Result<DocumentInput, String>,
}

impl Lines {
    /// Opens a file, by its name compressed with gzip (`.gz`) or xz (`.xz`); `-` is stdin.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let source: Box<dyn Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            Box::new(
                File::open(path).with_context(|| format!("{} cannot be opened", path.display()))?,
            )
        };
        let counted = Counted {
            source,
            read: Arc::clone(&read),
        };
        let reader: Box<dyn BufRead + Send> =
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("gz") => Box::new(BufReader::new(MultiGzDecoder::new(counted))),
                Some("xz") => Box::new(BufReader::new(XzDecoder::new_multi_decoder(counted))),
                _ => Box::new(BufReader::new(counted)),
            };
        Ok(Self {
            reader,
            number: 0,
            read,
        })
    }

    /// Bytes read of the file, compressed as it is.
    pub(crate) fn bytes_read(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            if self
                .reader
                .by_ref()
                .take(LINE_LIMIT as u64)
                .read_until(b'\n', &mut bytes)?
                == 0
            {
                return Ok(None);
            }
            self.number += 1;
            let number = self.number;
            if bytes.len() == LINE_LIMIT && !bytes.ends_with(b"\n") {
                self.reader.skip_until(b'\n')?;
                let document = Err(format!("is longer than {LINE_LIMIT} bytes"));
                return Ok(Some(Line { number, document }));
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(Line {
                number,
                document: documents::read_line(&bytes),
            }));
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line().transpose()
    }
}

/// A reader that counts what it read, for the progress bar.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Line> {
        let reader: Box<dyn BufRead + Send> = Box::new(io::Cursor::new(text.to_vec()));
        Lines {
            reader,
            number: 0,
            read: Arc::default(),
        }
        .map(|line| line.expect("memory is readable"))
        .collect()
    }

    #[test]
    fn a_bad_line_is_told_with_its_number_and_the_rest_is_read() {
        let lines = lines(b"{\"_id\":\"a\",\"text\":\"x\"}\n\nnot json\n{\"id\":\"b\",\"content\":\"y\",\"extra\":1}");
        assert_eq!(
            lines.iter().map(|line| line.number).collect::<Vec<_>>(),
            [1, 3, 4]
        );
        assert_eq!(
            lines[0]
                .document
                .as_ref()
                .map(|document| document.id.as_deref()),
            Ok(Some("a"))
        );
        assert!(lines[1].document.is_err());
        assert_eq!(
            lines[2]
                .document
                .as_ref()
                .map(|document| document.content.as_str()),
            Ok("y")
        );
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused_and_skipped_whole() {
        let mut text = vec![b'x'; LINE_LIMIT + 10];
        text.extend_from_slice(b"\n{\"text\":\"z\"}\n");
        let lines = lines(&text);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].document.is_err());
        assert_eq!((lines[1].number, lines[1].document.is_ok()), (2, true));
    }
}
