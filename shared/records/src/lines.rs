//! The lines of a text, none of them longer than a document may be.

use std::io::{self, BufRead, Read as _};

/// Bytes of the longest line of a file: what one request to the API may hold.
pub const LINE_LIMIT: usize = 6 * 1024 * 1024;

/// The lines of a text that are not blank, with their numbers.
pub struct Lines {
    text: Box<dyn BufRead + Send>,
    number: u64,
}

/// A line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// From 1, blank ones counted.
    pub number: u64,
    /// Without its end; none if it is longer than [`LINE_LIMIT`].
    pub text: Option<Vec<u8>>,
}

impl Lines {
    /// The lines of what [`super::open`] opened.
    #[must_use]
    pub fn new(text: Box<dyn BufRead + Send>) -> Self {
        Self { text, number: 0 }
    }

    fn next_line(&mut self) -> io::Result<Option<Line>> {
        loop {
            let mut bytes = Vec::new();
            // The end of a line has two bytes on Windows.
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
            without_end(&mut bytes);
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

/// Takes the end of a line away.
pub fn without_end(line: &mut Vec<u8>) {
    if line.ends_with(b"\n") {
        line.pop();
    }
    if line.ends_with(b"\r") {
        line.pop();
    }
}
