//! Converts text of any encoding to UTF-8.

use std::io::{self, BufRead};

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use encoding_rs_io::DecodeReaderBytesBuilder;

use super::peek::{buffered, peek};

pub(super) const UTF8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// The text without the byte order mark that Windows writes; UTF-16 is decoded, and other non-UTF-8 text stays as it
/// is, for its lines to report.
///
/// # Errors
/// When the source cannot be read.
pub fn decoded(source: Box<dyn BufRead + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let (head, source) = peek(source, 4)?;
    let decoder = DecodeReaderBytesBuilder::new()
        .encoding(without_a_mark(&head))
        .bom_override(true)
        .strip_bom(true)
        .utf8_passthru(true)
        .build(source);
    Ok(buffered(Box::new(decoder)))
}

pub(super) fn is_utf16(head: &[u8]) -> bool {
    UTF16_MARKS.iter().any(|mark| head.starts_with(mark)) || without_a_mark(head).is_some()
}

pub(super) fn without_mark(head: &[u8]) -> &[u8] {
    head.strip_prefix(UTF8_MARK).unwrap_or(head)
}

/// UTF-16 without a byte order mark: a line of JSON, a table's header and a page start with two ASCII characters.
#[must_use]
pub fn without_a_mark(head: &[u8]) -> Option<&'static Encoding> {
    match head {
        [first, 0, second, 0, ..] if *first != 0 && *second != 0 => Some(UTF_16LE),
        [0, first, 0, second, ..] if *first != 0 && *second != 0 => Some(UTF_16BE),
        _ => None,
    }
}
