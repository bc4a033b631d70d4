//! The lines of a text, limited to the size of a document.

use std::io::{self, BufRead, Read as _};

use serde::{Deserialize, Serialize};

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
    /// As [`checked`].
    pub text: Result<Vec<u8>, Refusal>,
}

/// Why a line, an element or a row has no text of a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Refusal {
    /// It is longer than [`LINE_LIMIT`].
    #[error("is longer than {} bytes", LINE_LIMIT)]
    Long,
    /// A row with a quotation mark without its partner.
    #[error("a quotation mark is not closed")]
    Unclosed,
    /// A row that does not fit its header.
    #[error("a row of {fields} fields under a header of {columns}")]
    Fields {
        /// The fields of the row.
        fields: usize,
        /// The columns of the header.
        columns: usize,
    },
    /// A row in another encoding.
    #[error("a row that is not UTF-8: convert the file, for example with iconv")]
    NotUtf8,
    /// A row with two values of one column.
    #[error("a row with two columns {0}")]
    Twice(String),
}

/// The beginning of a line that says why a row is no document, as it is in the text that [`open`](super::open) returns and in
/// what is written of it: no character of UTF-8 begins so.
const MARK: u8 = 0xff;

impl Refusal {
    /// Writes it as a line, without its end.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> io::Result<()> {
        out.push(MARK);
        serde_json::to_writer(out, self).map_err(io::Error::from)
    }

    fn read(line: &[u8]) -> Option<Self> {
        serde_json::from_slice(line.strip_prefix(&[MARK])?).ok()
    }
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
            let text = checked(bytes);
            if text.as_ref().is_ok_and(|text| text.trim_ascii().is_empty()) {
                continue;
            }
            return Ok(Some(Line {
                number: self.number,
                text,
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

/// The [`bare`] text of a line of what [`open`](super::open) returns.
///
/// # Errors
/// Why it has none.
pub fn checked(mut line: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    bare(&mut line);
    if line.len() > LINE_LIMIT {
        return Err(Refusal::Long);
    }
    match Refusal::read(&line) {
        Some(refusal) => Err(refusal),
        None => Ok(line),
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
