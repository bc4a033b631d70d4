//! Reads the lines of a range of an object window by window, in bounded memory.

use std::ops::Range;

use aws::s3::S3;
use records::{LINE_LIMIT, Refusal, checked};

use super::source::{ObjectSource, ReadError};

/// Bytes per read.
const WINDOW: u64 = 1024 * 1024;

/// Bytes read beyond the end of a range: most last lines end there.
const BEYOND: u64 = 64 * 1024;

/// An object to read lines from.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) source: ObjectSource,
    /// The version it must have; `None` for a piece, which nobody else writes.
    pub(super) etag: Option<String>,
    pub(super) bytes: u64,
}

/// The lines that begin within a range.
pub(super) struct Lines<'a> {
    s3: &'a S3,
    object: &'a Object,
    /// Lines that begin here or later belong to the next range.
    last: u64,
    /// The bytes read from `start` on.
    buffer: Vec<u8>,
    start: u64,
}

/// A non-empty line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its byte range in the object, line break included.
    pub(super) range: Range<u64>,
    /// Its text without the line break and a byte order mark.
    pub(super) text: Result<Vec<u8>, Refusal>,
}

impl<'a> Lines<'a> {
    /// Seeks to the first line that begins in `range`.
    pub(super) async fn open(
        s3: &'a S3,
        object: &'a Object,
        range: Range<u64>,
    ) -> Result<Self, ReadError> {
        let mut lines = Self {
            s3,
            object,
            last: range.end.min(object.bytes),
            buffer: Vec::new(),
            start: range.start,
        };
        if range.start > 0 {
            // A line begins here if the previous byte ends one.
            lines.start -= 1;
            lines.skip_line().await?;
        }
        Ok(lines)
    }

    /// The next line that is not empty.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, ReadError> {
        if self.start >= self.last {
            return Ok(None);
        }
        let start = self.start;
        let mut searched = 0;
        loop {
            let found = self.buffer[searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            if let Some(length) = found.map(|found| searched + found) {
                let text = self.take(length + 1);
                return Ok(Some(self.line(start, text)));
            }
            searched = self.buffer.len();
            // Windows ends lines with two bytes.
            if searched > LINE_LIMIT + 1 {
                self.skip_line().await?;
                return Ok(Some(Line {
                    range: start..self.start,
                    text: Err(Refusal::Long),
                }));
            }
            if !self.fill().await? {
                let text = self.take(searched);
                return Ok(Some(self.line(start, text)));
            }
        }
    }

    fn line(&self, start: u64, text: Vec<u8>) -> Line {
        Line {
            range: start..self.start,
            text: checked(text),
        }
    }

    /// Skips to the next line or to the end of the range.
    async fn skip_line(&mut self) -> Result<(), ReadError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                self.take(end + 1);
                return Ok(());
            }
            self.take(self.buffer.len());
            if self.start >= self.last || !self.fill().await? {
                return Ok(());
            }
        }
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        self.start += bytes as u64;
        self.buffer.drain(..bytes).collect()
    }

    /// Reads the next window; false at the end of the object.
    async fn fill(&mut self) -> Result<bool, ReadError> {
        let from = self.start + self.buffer.len() as u64;
        let wanted = (self.last + BEYOND)
            .saturating_sub(from)
            .clamp(BEYOND, WINDOW);
        let range = from..(from + wanted).min(self.object.bytes);
        if range.is_empty() {
            return Ok(false);
        }
        let etag = self.object.etag.as_deref();
        let bytes = self.object.source.read(self.s3, &range, etag).await?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(ReadError::Changed);
        }
        self.buffer.extend_from_slice(&bytes);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    async fn read(text: &[u8], ranges: &[u64]) -> Vec<(u64, Option<usize>)> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
        file.write_all(text).expect("it can be written");
        let object = Object {
            source: ObjectSource::File(file.path().to_owned()),
            etag: None,
            bytes: text.len() as u64,
        };
        let s3 = S3::new(
            http_client::builder().build().expect("a client"),
            String::new(),
        );
        let mut found = Vec::new();
        for range in ranges.windows(2) {
            let mut lines = Lines::open(&s3, &object, range[0]..range[1])
                .await
                .expect("the file is there");
            while let Some(line) = lines.next().await.expect("the file is there") {
                found.push((line.range.start, line.text.ok().map(|text| text.len())));
            }
        }
        found
    }

    #[tokio::test]
    async fn each_line_is_read_once_wherever_the_object_is_cut() {
        let text = b"one\ntwo\n\nfour is longer\nfive";
        let whole = read(text, &[0, text.len() as u64]).await;
        assert_eq!(
            whole,
            [
                (0, Some(3)),
                (4, Some(3)),
                (8, Some(0)),
                (9, Some(14)),
                (24, Some(4))
            ]
        );
        for stride in 1..text.len() {
            let mut cuts: Vec<u64> = (0..text.len())
                .step_by(stride)
                .map(|cut| cut as u64)
                .collect();
            cuts.push(text.len() as u64);
            assert_eq!(read(text, &cuts).await, whole, "cut every {stride} bytes");
        }
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_no_part_of_a_line_and_of_its_place() {
        let text = "\u{feff}one\n\u{feff}two\n".as_bytes();
        let lines = read(text, &[0, text.len() as u64]).await;
        assert_eq!(lines, [(0, Some(3)), (7, Some(3))]);
    }

    #[tokio::test]
    async fn an_oversized_line_is_reported_once_and_skipped_by_other_ranges() {
        let mut text = b"a\n".to_vec();
        text.resize(LINE_LIMIT + 3, b'x');
        text.extend_from_slice(b"\nb\nc");
        let last = text.len() as u64;
        let expected = [
            (0, Some(1)),
            (2, None),
            (last - 3, Some(1)),
            (last - 1, Some(1)),
        ];
        assert_eq!(read(&text, &[0, last]).await, expected);
        let cuts: Vec<u64> = (0..last).step_by(1_000_000).chain([last]).collect();
        assert_eq!(read(&text, &cuts).await, expected);
    }
}
