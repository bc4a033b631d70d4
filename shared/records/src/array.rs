//! The elements of a JSON array, one per line.

use std::io::{self, BufRead, Read};

/// Reads an array as one line per element, with no more than a buffer in memory.
pub(super) struct Elements<R> {
    source: R,
    place: Scan,
    /// Numbers of line breaks read and written.
    line: u64,
    written: u64,
    out: Vec<u8>,
    /// The part of `out` already returned.
    taken: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Before,
    Between,
    Within { depth: u32, text: Text },
    After,
    Over,
}

/// The state within strings.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Out,
    In,
    Escape,
}

impl<R: BufRead> Elements<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            place: Scan::Before,
            line: 0,
            written: 0,
            out: Vec::new(),
            taken: 0,
        }
    }

    /// Reads on; a truncated array ends without its bracket.
    fn fill(&mut self) -> io::Result<()> {
        self.out.clear();
        self.taken = 0;
        let buffer = self.source.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            return self.end();
        }
        let bytes = buffer.to_vec();
        self.source.consume(length);
        for byte in bytes {
            self.next(byte);
            self.line += u64::from(byte == b'\n');
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.place, Scan::Over) {
            Scan::After | Scan::Over => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the JSON array is not closed: the file is truncated",
            )),
        }
    }

    fn next(&mut self, byte: u8) {
        match self.place {
            Scan::Before if byte == b'[' => self.place = Scan::Between,
            Scan::Between if byte == b']' => self.place = Scan::After,
            Scan::Between if byte == b',' || byte.is_ascii_whitespace() => {}
            Scan::Between => {
                while self.written < self.line {
                    self.line_break();
                }
                self.place = Scan::Within {
                    depth: 0,
                    text: Text::Out,
                };
                self.next(byte);
            }
            Scan::Within { depth, text } => self.within(byte, depth, text),
            // Anything after an array is lines, rejected later.
            Scan::After if !byte.is_ascii_whitespace() || byte == b'\n' => self.out.push(byte),
            Scan::Before | Scan::After | Scan::Over => {}
        }
    }

    fn within(&mut self, byte: u8, depth: u32, text: Text) {
        let (depth, text) = match (text, byte) {
            (Text::Out, b',') if depth == 0 => return self.close(Scan::Between),
            (Text::Out, b']') if depth == 0 => return self.close(Scan::After),
            (Text::Out, b'{' | b'[') => (depth.saturating_add(1), text),
            (Text::Out, b'}' | b']') => (depth.saturating_sub(1), text),
            (Text::In, b'\\') => (depth, Text::Escape),
            (Text::In, b'"') => (depth, Text::Out),
            (Text::Out, b'"') | (Text::Escape, _) => (depth, Text::In),
            _ => (depth, text),
        };
        // JSON strings cannot contain line breaks.
        let is_break = matches!(byte, b'\n' | b'\r');
        self.out.push(if is_break { b' ' } else { byte });
        self.place = Scan::Within { depth, text };
    }

    fn close(&mut self, place: Scan) {
        self.line_break();
        self.place = place;
    }

    fn line_break(&mut self) {
        self.out.push(b'\n');
        self.written += 1;
    }
}

impl<R: BufRead> Read for Elements<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.out.len() && self.place != Scan::Over {
            self.fill()?;
        }
        let rest = &self.out[self.taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}
