//! Files of documents, in whatever format they come, as lines of JSON: what is compressed is told by its first
//! bytes, and so is what it holds.

mod array;
mod compression;
mod encoding;
mod format;
mod lines;
mod peek;
mod table;

use std::io::{self, BufRead, Read};

use self::{array::Elements, table::Table};
pub use self::{
    encoding::decoded as text,
    format::Format,
    lines::{LINE_LIMIT, Line, Lines, without_end},
};

/// Why a file cannot be read as documents.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is something else.
    #[error(
        "it looks like {0}: documents are read from lines of JSON, a JSON array, or CSV whose header names a \
         column content, in UTF-8 or UTF-16, compressed with gzip, zstd or xz or not"
    )]
    Unknown(String),
    /// It cannot be read, or not be decompressed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The documents of a file, one JSON object a line. A line is where it is in the file as far as that has lines:
/// others are filled up with blank ones.
///
/// # Errors
/// [`OpenError::Unknown`] names what the file looks like.
pub fn open(source: impl Read + Send + 'static) -> Result<Box<dyn BufRead + Send>, OpenError> {
    let source = compression::decompressed(Box::new(source))?;
    let text = encoding::decoded(source)?;
    let (head, text) = peek::peek(text, format::HEAD)?;
    match Format::of(&head) {
        Format::Lines => Ok(text),
        Format::Array => Ok(Box::new(io::BufReader::new(Elements::new(text)))),
        Format::Table { delimiter } => {
            Ok(Box::new(io::BufReader::new(Table::new(text, delimiter)?)))
        }
        Format::Unknown(what) => Err(OpenError::Unknown(what)),
    }
}

/// Whether the bytes of a file that begins with `head` are the lines of JSON that [`open`] would give.
#[must_use]
pub fn is_lines(head: &[u8]) -> bool {
    !compression::is_compressed(head)
        && !encoding::is_utf16(head)
        && Format::of(encoding::without_mark(head)) == Format::Lines
}

/// Bytes of the beginning of a file that tell its format.
pub const HEAD: usize = format::HEAD;

#[cfg(test)]
mod tests;
