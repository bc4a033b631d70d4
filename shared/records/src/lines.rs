//! The lines of a text, limited to the size of a document.

use std::io::{self, BufRead, Read as _};

use super::encoding::UTF8_MARK;

/// Maximum bytes of a line: the limit of one request to the API.
pub const LINE_LIMIT: usize = 6 * 1024 * 1024;

/// The non-blank lines of a text, with their numbers.
pub struct Lines {
    text: Box<dyn BufRead + Send>,
    number: u64,
}

/// A non-blank line.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1, including blank ones.
    pub number: u64,
    /// Without its end and a byte order mark; `None` if longer than [`LINE_LIMIT`].
    pub text: Option<Vec<u8>>,
}

impl Lines {
    /// The lines of a result of [`super::open`].
    #[must_use]
    pub fn new(text: Box<dyn BufRead + Send>) -> Self {
        Self { text, number: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            // On Windows a line ends with two bytes.
            let most = LINE_LIMIT as u64 + 2;
            if self
                .text
                .by_ref()
                .take(most)
                .read_until(b'\n', &mut bytes)?
                == 0
            {
                return Ok(None);
            }
            self.number += 1;
            if bytes.len() as u64 == most && !bytes.ends_with(b"\n") {
                self.text.skip_until(b'\n')?;
            }
            bare(&mut bytes);
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            return Ok(Some(Line {
                number: self.number,
                text: (bytes.len() <= LINE_LIMIT).then_some(bytes),
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

/// Removes the end of a line, and a byte order mark before it: each file has one of several that were joined.
pub fn bare(line: &mut Vec<u8>) {
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
    if line.starts_with(UTF8_MARK) {
        line.drain(..UTF8_MARK.len());
    }
}
