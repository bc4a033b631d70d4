//! The rows of a table (CSV with a header), a line of JSON each.

use std::{
    io::{self, BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};
use serde_json::{Map, Value};

use crate::LINE_LIMIT;

/// What may stand between two fields.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What stands between no two fields of a text.
const UNIT_SEPARATOR: u8 = 0x1f;

/// The fields of a document, in both spellings.
const FIELDS: [&str; 5] = ["id", "_id", "title", "content", "text"];

/// The delimiter of a table whose header is `line`.
///
/// # Errors
/// What it looks like if its columns are not those of documents, and nothing if it is no table at all.
pub(super) fn delimiter(line: &[u8]) -> Result<u8, Option<String>> {
    let columns = |delimiter: u8| -> Vec<String> {
        let mut header = builder(delimiter).has_headers(false).from_reader(line);
        let record = header.records().next().and_then(Result::ok);
        record.map_or_else(Vec::new, |record| record.iter().map(column).collect())
    };
    let is_content = |name: &String| name == "content" || name == "text";
    let (delimiter, columns) = DELIMITERS
        .into_iter()
        // Of several the last one is taken.
        .rev()
        .map(|delimiter| (delimiter, columns(delimiter)))
        .max_by_key(|(_, columns)| (columns.iter().any(is_content), columns.len()))
        .unwrap_or_default();
    if columns.iter().any(is_content) {
        let twice = FIELDS
            .iter()
            .find(|field| columns.iter().filter(|name| name == field).count() > 1);
        return match twice {
            Some(field) => Err(Some(format!("a table with two columns {field}"))),
            // Of one column, all of a line is its field.
            None if columns.len() == 1 => Ok(UNIT_SEPARATOR),
            None => Ok(delimiter),
        };
    }
    let is_table = columns.len() > 1 && columns.iter().all(|name| name.chars().count() < 64);
    Err(is_table.then(|| {
        format!(
            "a table whose header names no column content (or text), but {}",
            columns.join(", ")
        )
    }))
}

/// Reads a table as lines of JSON: the columns of a document are its fields, the others its metadata, and an empty
/// field is none.
pub(super) struct Table {
    rows: Reader<Bounded>,
    columns: Vec<String>,
    record: ByteRecord,
    read: Arc<AtomicUsize>,
    /// Line breaks that were written.
    written: u64,
    out: Vec<u8>,
    taken: usize,
}

impl Table {
    pub(super) fn new(source: Box<dyn BufRead + Send>, delimiter: u8) -> io::Result<Self> {
        let read = Arc::new(AtomicUsize::new(0));
        let source = Bounded {
            source,
            read: Arc::clone(&read),
        };
        let mut rows = builder(delimiter).from_reader(source);
        let columns = rows.byte_headers()?.iter();
        let columns = columns.map(|name| column(&String::from_utf8_lossy(name)));
        Ok(Self {
            columns: columns.collect(),
            rows,
            record: ByteRecord::new(),
            read,
            written: 0,
            out: Vec::new(),
            taken: 0,
        })
    }

    /// Makes the line of the next row; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.out.clear();
        self.taken = 0;
        self.read.store(0, Ordering::Relaxed);
        if !self.rows.read_byte_record(&mut self.record)? {
            return Ok(false);
        }
        let line = self.record.position().map_or(1, csv::Position::line);
        while self.written + 1 < line {
            self.line_break();
        }
        let json = self.json().unwrap_or_else(Value::String);
        serde_json::to_writer(&mut self.out, &json)?;
        self.line_break();
        Ok(true)
    }

    /// The row as a document. One that is none is a text that says why: no text is a document.
    fn json(&self) -> Result<Value, String> {
        if self.record.len() != self.columns.len() {
            return Err(format!(
                "a row of {} fields under a header of {}",
                self.record.len(),
                self.columns.len()
            ));
        }
        let (mut document, mut metadata) = (Map::new(), Map::new());
        for (column, field) in self.columns.iter().zip(&self.record) {
            let field = str::from_utf8(field).map_err(|_| "a row that is not UTF-8".to_owned())?;
            if field.is_empty() || column.is_empty() {
                continue;
            }
            let is_field = FIELDS.contains(&column.as_str());
            let fields = if is_field {
                &mut document
            } else {
                &mut metadata
            };
            if fields.insert(column.clone(), field.into()).is_some() {
                return Err(format!("a row with two columns {column}"));
            }
        }
        if !metadata.is_empty() {
            document.insert("metadata".to_owned(), metadata.into());
        }
        Ok(document.into())
    }

    fn line_break(&mut self) {
        self.out.push(b'\n');
        self.written += 1;
    }
}

impl Read for Table {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.out.len() && !self.fill()? {
            return Ok(0);
        }
        let rest = &self.out[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

/// What a table is read from, as long as its rows are of a bearable size: a quotation mark that is not closed
/// would make all that follows one field.
struct Bounded {
    source: Box<dyn BufRead + Send>,
    /// Since the last row.
    read: Arc<AtomicUsize>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        if self.read.fetch_add(count, Ordering::Relaxed) > 2 * LINE_LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {LINE_LIMIT} bytes: a quotation mark may be missing"),
            ));
        }
        Ok(count)
    }
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder
        .delimiter(delimiter)
        .flexible(true)
        .trim(Trim::Headers);
    builder
}

/// A column's name: that of a document's field in lower case, any other as it is.
fn column(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    if FIELDS.contains(&lower.as_str()) {
        lower
    } else {
        name.trim().to_owned()
    }
}
