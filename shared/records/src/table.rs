//! The rows of a table (CSV with a header), one line of JSON each.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
};

use csv::{ByteRecord, Reader, ReaderBuilder};
use serde_json::Value;

use crate::{LINE_LIMIT, Refusal};

/// Possible field separators.
pub(super) const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The beginning of a first line that names the field separator.
const NAMING: &[u8] = b"sep=";

/// The delimiter of a table of one column: a byte that separates no fields of a text.
pub(super) const ONE_COLUMN: u8 = 0x1f;

/// The fields of a document, in both spellings.
const FIELDS: [&str; 5] = ["id", "_id", "title", "content", "text"];

/// The possible delimiters below a first line such as `sep=;`, which Excel writes and which is not the header.
pub(super) fn named_delimiters(line: &[u8]) -> Option<Vec<u8>> {
    let bare = line
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    match bare.unwrap_or(line).split_at_checked(NAMING.len())? {
        (begin, _) if !begin.eq_ignore_ascii_case(NAMING) => None,
        // A tab is lost with the blanks at the end of the line.
        (_, []) => Some(DELIMITERS.to_vec()),
        (_, [delimiter]) if delimiter.is_ascii_punctuation() && *delimiter != b'"' => {
            Some(vec![*delimiter])
        }
        _ => None,
    }
}

/// The one of `delimiters` that separates the fields of a table whose header is `line`.
///
/// # Errors
/// A description if the columns are not those of documents; `None` if it is not a table at all.
pub(super) fn delimiter(line: &[u8], delimiters: &[u8]) -> Result<u8, Option<String>> {
    let named = |delimiter: u8| {
        let mut header = builder(delimiter).from_reader(line);
        let record = header.byte_records().next().and_then(Result::ok);
        columns(&record.unwrap_or_default())
    };
    let is_content = |name: &String| name == "content" || name == "text";
    let (delimiter, columns) = delimiters
        .iter()
        .copied()
        // The last of equals wins.
        .rev()
        .map(|delimiter| (delimiter, named(delimiter)))
        .max_by_key(|(_, columns)| (columns.iter().any(is_content), columns.len()))
        .unwrap_or_default();
    if columns.iter().any(is_content) {
        let twice = FIELDS
            .iter()
            .find(|field| columns.iter().filter(|name| name == field).count() > 1);
        return match twice {
            Some(field) => Err(Some(format!("a table with two columns {field}"))),
            // In a table of one column, a line is one field.
            None if columns.len() == 1 => Ok(ONE_COLUMN),
            None => Ok(delimiter),
        };
    }
    let is_text = str::from_utf8(line).is_ok();
    let is_named = |name: &String| name.chars().count() < 64;
    let is_table = is_text && columns.len() > 1 && columns.iter().all(is_named);
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
    /// Number of line breaks written.
    written: u64,
    out: Vec<u8>,
    taken: usize,
}

impl Table {
    pub(super) fn new(source: Box<dyn BufRead + Send>, delimiter: u8) -> io::Result<Self> {
        let mut table = Self {
            rows: builder(delimiter).from_reader(Bounded::new(source)),
            columns: Vec::new(),
            record: ByteRecord::new(),
            written: 0,
            out: Vec::new(),
            taken: 0,
        };
        table.next_row()?;
        let row = table.record.as_slice();
        if row.len() <= NAMING.len() + 1 && named_delimiters(row).is_some() {
            table.next_row()?;
        }
        if table.is_unclosed() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a quotation mark in the header of the table is not closed",
            ));
        }
        table.columns = columns(&table.record);
        Ok(table)
    }

    /// Writes the next row's line; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        self.out.clear();
        self.taken = 0;
        if !self.next_row()? {
            return Ok(false);
        }
        let line = self.line();
        while self.written + 1 < line {
            self.line_break();
        }
        match self.document() {
            Ok(document) => serde_json::to_writer(&mut self.out, &document)?,
            Err(refusal) => refusal.write(&mut self.out)?,
        }
        self.line_break();
        Ok(true)
    }

    /// Reads the next row; false at the end. Those of empty fields, which spreadsheets export below a table, are skipped.
    fn next_row(&mut self) -> io::Result<bool> {
        loop {
            self.rows.get_mut().row = 0;
            if !self.rows.read_byte_record(&mut self.record)? {
                return Ok(false);
            }
            if !self.record.as_slice().is_empty() {
                return Ok(true);
            }
        }
    }

    /// Whether the row has a quotation mark that is not closed: only such a row goes beyond the line break that `Bounded`
    /// adds.
    fn is_unclosed(&self) -> bool {
        self.rows.get_ref().end == End::Reached
    }

    /// The line on which the row begins. Its reader is at the row's end, behind the line breaks in it.
    fn line(&self) -> u64 {
        let end = self.rows.position();
        let breaks = self.record.as_slice().iter();
        let breaks: u64 = breaks.map(|byte| u64::from(*byte == b'\n')).sum();
        // Of CRLF the reader has read only the first.
        let is_behind_break = self.rows.get_ref().byte_before(end.byte()) == Some(b'\n');
        let last = u64::from(is_behind_break && !self.is_unclosed());
        end.line().saturating_sub(breaks + last)
    }

    fn document(&self) -> Result<Value, Refusal> {
        if self.is_unclosed() {
            return Err(Refusal::Unclosed);
        }
        let (fields, columns) = (self.record.len(), self.columns.len());
        if fields != columns {
            return Err(Refusal::Fields { fields, columns });
        }
        // In the order of their keys, whether or not serde_json preserves that of insertion.
        let mut document: BTreeMap<String, Value> = BTreeMap::new();
        let mut metadata: BTreeMap<String, Value> = BTreeMap::new();
        for (column, field) in self.columns.iter().zip(&self.record) {
            let field = str::from_utf8(field).map_err(|_| Refusal::NotUtf8)?;
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
                return Err(Refusal::Twice(column.clone()));
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
/// one field. It ends with a line break, which ends the last row unless that has such a quotation mark.
struct Bounded {
    source: Box<dyn BufRead + Send>,
    end: End,
    /// Bytes since the last row.
    row: usize,
    /// All bytes so far, and the last ones of them.
    total: u64,
    last: Vec<u8>,
}

/// The end of a table's source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Ahead,
    /// It was found, and the line break was added.
    Marked,
    Reached,
}

impl Bounded {
    fn new(source: Box<dyn BufRead + Send>) -> Self {
        Self {
            source,
            end: End::Ahead,
            row: 0,
            total: 0,
            last: Vec::new(),
        }
    }

    /// The byte before a position among the last bytes.
    fn byte_before(&self, position: u64) -> Option<u8> {
        let behind = usize::try_from(self.total.checked_sub(position)?).ok()?;
        self.last.iter().rev().nth(behind).copied()
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.row > 2 * LINE_LIMIT {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a row is longer than {LINE_LIMIT} bytes: a quotation mark may be missing"),
            ));
        }
        if self.end != End::Ahead {
            self.end = End::Reached;
            return Ok(0);
        }
        let mut count = self.source.read(buffer)?;
        if count == 0 {
            self.end = End::Marked;
            buffer[0] = b'\n';
            count = 1;
        }
        self.row += count;
        self.total += count as u64;
        self.last.clear();
        self.last.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder
        .delimiter(delimiter)
        .flexible(true)
        .has_headers(false);
    builder
}

/// The names of a header's columns, whose encoding may not be known yet: those of documents are ASCII.
fn columns(header: &ByteRecord) -> Vec<String> {
    let names = header.iter();
    names
        .map(|name| column(&String::from_utf8_lossy(name)))
        .collect()
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
