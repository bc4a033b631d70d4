//! Detects a file's format by its beginning.

use super::table;

/// Bytes to inspect.
pub(super) const HEAD: usize = 64 * 1024;

/// The format of a file's documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Lines,
    /// One JSON array of objects.
    Array,
    /// A header, and one row per document.
    Table {
        /// The field separator.
        delimiter: u8,
    },
    /// Something else, in words.
    Unknown(String),
}

/// First bytes of files often mistaken for documents.
const OTHERS: &[(&[u8], &str)] = &[
    (b"%PDF", "a PDF file"),
    (
        b"PK\x03\x04",
        "a ZIP archive, such as a DOCX, XLSX or EPUB file",
    ),
    (b"PAR1", "a Parquet file"),
    (b"Obj\x01", "an Avro file"),
    (b"ORC", "an ORC file"),
    (b"ARROW1", "an Arrow file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PGDMP", "a PostgreSQL dump"),
    (b"BZh", "a file compressed with bzip2"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x04\x22\x4d\x18", "a file compressed with lz4"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (
        b"\xd0\xcf\x11\xe0",
        "an old Office file, such as XLS or DOC",
    ),
    (b"{\\rtf", "an RTF file"),
];

impl Format {
    /// The format of a text that starts with `head`.
    #[must_use]
    pub fn of(head: &[u8]) -> Self {
        let unknown = |what: &str| Self::Unknown(what.to_owned());
        if let Some((_, what)) = OTHERS.iter().find(|(first, _)| head.starts_with(first)) {
            return unknown(what);
        }
        if head.get(257..262) == Some(b"ustar") {
            return unknown("a tar archive");
        }
        let text = head.trim_ascii_start();
        let first_line = lines(text).next().unwrap_or_default();
        match text.first() {
            Some(b'{') if first_line == b"{" && lines(text).nth(1).is_some() => unknown(
                "one JSON object over several lines, where a line or an element of an array is a document",
            ),
            None | Some(b'{') => Self::Lines,
            Some(b'[') if is_array(&text[1..]) => Self::Array,
            _ => match Self::table(text) {
                Ok(table) => table,
                // Other lines are reported by number.
                Err(_) if lines(text).any(|line| line.starts_with(b"{")) => Self::Lines,
                Err(what) => Self::Unknown(what.unwrap_or_else(|| other(text).to_owned())),
            },
        }
    }

    /// The table of a text whose header names the columns of documents. A field between quotation marks may have lines that
    /// look like JSON, but a row does not: it has each quotation mark of a field twice.
    ///
    /// # Errors
    /// As [`table::delimiter`].
    fn table(text: &[u8]) -> Result<Self, Option<String>> {
        let mut filled = lines(text).filter(|line| !line.is_empty());
        let first = filled.next().unwrap_or_default();
        let (header, delimiters) = match table::named_delimiters(first) {
            Some(named) => (filled.next().unwrap_or_default(), named),
            None => (first, table::DELIMITERS.to_vec()),
        };
        let delimiter = table::delimiter(header, &delimiters)?;
        if filled.next().is_some_and(is_object) {
            return Err(None);
        }
        Ok(Self::Table { delimiter })
    }
}

/// Whether a line starts as a JSON object with a field does.
fn is_object(line: &[u8]) -> bool {
    let rest = line.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    rest.is_some_and(|rest| rest.starts_with(b"\""))
}

/// Whether a bracket starts a JSON array, rather than a note: a JSON value or the array's end follows.
fn is_array(text: &[u8]) -> bool {
    let first = text.trim_ascii_start().first();
    first.is_some_and(|byte| b"{[\"]-0123456789".contains(byte))
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii)
}

fn other(text: &[u8]) -> &'static str {
    let is_control = |byte: &&u8| **byte < b' ' && !b"\t\n\r\x0c".contains(byte);
    if text.iter().find(is_control).is_some() {
        "binary data"
    } else if text.starts_with(b"<") {
        "HTML or XML"
    } else {
        "plain text"
    }
}
