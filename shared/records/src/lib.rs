//! Reads files of documents in any format as lines of JSON; the first bytes determine compression and format.

mod array;
mod compression;
mod encoding;
mod format;
mod lines;
mod peek;
mod table;
mod western;

use std::{
    io::{self, BufRead, Read},
    path::Path,
};

use self::{
    array::Elements,
    table::{ONE_COLUMN, Table},
};
pub use self::{
    compression::is_compressed,
    encoding::{decoded as text, without_a_mark as utf16_without_a_mark},
    format::Format,
    lines::{LINE_LIMIT, Line, Lines, Refusal, bare, checked},
    western::{is_damaged_utf8, western},
};

/// Why a file has no readable documents.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It has another format.
    #[error(
        "it looks like {0}: documents are read from lines of JSON, a JSON array, or CSV whose header names a \
         column content, in UTF-8 or UTF-16, or CSV in Windows-1252, compressed with gzip, zstd or xz or not"
    )]
    Unknown(String),
    /// Reading or decompressing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The documents of a file, one JSON object per line, or a [`Refusal`], which [`checked`] and [`Lines`] read. Lines keep their
/// number if the file has lines: blank ones fill the gaps.
///
/// # Errors
/// [`OpenError::Unknown`] names what the file looks like.
pub fn open(source: impl Read + Send + 'static) -> Result<Box<dyn BufRead + Send>, OpenError> {
    let (format, text) = formatted(source)?;
    documents(format, text)
}

/// The same for a file that may be a text instead: then a table of one column is none, because a text may begin with the word
/// "Content".
///
/// # Errors
/// As [`open`].
pub fn open_text(source: impl Read + Send + 'static) -> Result<Box<dyn BufRead + Send>, OpenError> {
    match formatted(source)? {
        (Format::Table { delimiter }, _) if delimiter == ONE_COLUMN => {
            Err(OpenError::Unknown("plain text".to_owned()))
        }
        (format, text) => documents(format, text),
    }
}

/// The text of a file, and its format.
fn formatted(
    source: impl Read + Send + 'static,
) -> Result<(Format, Box<dyn BufRead + Send>), OpenError> {
    let source = compression::decompressed(Box::new(source))?;
    let text = encoding::decoded(source)?;
    let (head, text) = peek::peek(text, format::HEAD)?;
    let format = Format::of(&head);
    // JSON is in UTF-8 by its standard.
    if matches!(format, Format::Lines | Format::Array) {
        return Ok((format, text));
    }
    let (head, text) = peek::peek(western::recognised(text), format::HEAD)?;
    Ok((Format::of(&head), text))
}

fn documents(
    format: Format,
    text: Box<dyn BufRead + Send>,
) -> Result<Box<dyn BufRead + Send>, OpenError> {
    match format {
        Format::Lines => Ok(text),
        Format::Array => Ok(Box::new(io::BufReader::new(Elements::new(text)))),
        Format::Table { delimiter } => {
            Ok(Box::new(io::BufReader::new(Table::new(text, delimiter)?)))
        }
        Format::Unknown(what) => Err(OpenError::Unknown(what)),
    }
}

/// Whether a file that starts with `head` already is the lines of JSON that [`open`] returns.
#[must_use]
pub fn is_lines(head: &[u8]) -> bool {
    !is_compressed(head)
        && !encoding::is_utf16(head)
        && Format::of(encoding::without_mark(head)) == Format::Lines
}

/// Extensions of files of several documents, and of their compressions.
const EXTENSIONS: [&str; 5] = ["jsonl", "ndjson", "json", "csv", "tsv"];
const COMPRESSED: [&str; 4] = ["gz", "zst", "xz", "zstd"];

/// Whether a file is one of several documents by its extension, before which there may be one of a compression.
#[must_use]
pub fn is_named(path: &Path) -> bool {
    let extension = |path: &Path| {
        let extension = path.extension().unwrap_or_default();
        extension.to_string_lossy().to_ascii_lowercase()
    };
    let mut last = extension(path);
    if COMPRESSED.contains(&last.as_str()) {
        last = extension(Path::new(path.file_stem().unwrap_or_default()));
    }
    EXTENSIONS.contains(&last.as_str())
}

/// Bytes needed to detect a file's format.
pub const HEAD: usize = format::HEAD;

#[cfg(test)]
mod tests;
