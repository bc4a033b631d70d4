//! The rows of a table (CSV with a header), one line of JSON each.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use csv::{ByteRecord, Reader, ReaderBuilder, Trim};
use serde_json::Value;

use crate::LINE_LIMIT;

/// Possible field separators.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// A byte that separates no fields of a text.
const UNIT_SEPARATOR: u8 = 0x1f;

/// The fields of a document, in both spellings.
const FIELDS: [&str; 5] = ["id", "_id", "title", "content", "text"];

/// The delimiter of a table whose header is `line`.
///
/// # Errors
/// A description if the columns are not those of documents; `None` if it is not a table at all.
pub(super) fn delimiter(line: &[u8]) -> Result<u8, Option<String>> {
    let columns = |delimiter: u8| -> Vec<String> {
        let mut header = builder(delimiter).has_headers(false).from_reader(line);
        let record = header.records().next().and_then(Result::ok);
        record.map_or_else(Vec::new, |record| record.iter().map(column).collect())
    };
    let is_content = |name: &String| name == "content" || name == "text";
    let (delimiter, columns) = DELIMITERS
        .into_iter()
        // The last of equals wins.
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
            // In a table of one column, a line is one field.
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

/// Reads a table as lines of JSON: columns of documents become fields, others metadata, and empty fields are omitted.
pub(super) struct Table {
    rows: Reader<Bounded>,
    columns: Vec<String>,
    record: ByteRecord,
    read: Arc<AtomicUsize>,
    /// Number of line breaks written.
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

    /// Writes the next row's line; false at the end.
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

    /// The row as a document, or as a text with the error: a text is never a document.
    fn json(&self) -> Result<Value, String> {
        if self.record.len() != self.columns.len() {
            return Err(format!(
                "a row of {} fields under a header of {}",
                self.record.len(),
                self.columns.len()
            ));
        }
        // In the order of their keys, whether or not serde_json preserves that of insertion.
        let mut document: BTreeMap<String, Value> = BTreeMap::new();
        let mut metadata: BTreeMap<String, Value> = BTreeMap::new();
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
            document.insert("metadata".to_owned(), metadata.into_iter().collect());
        }
        Ok(document.into_iter().collect())
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

/// A table's source with a limit on the size of rows: an unclosed quotation mark would turn everything after it into
/// one field.
struct Bounded {
    source: Box<dyn BufRead + Send>,
    /// Bytes since the last row.
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

/// A column's name: in lower case for a document's field, otherwise unchanged.
fn column(name: &str) -> String {
    let lower = name.trim().to_lowercase();
    if FIELDS.contains(&lower.as_str()) {
        lower
    } else {
        name.trim().to_owned()
    }
}
