//! Cuts streamed text into pieces at line breaks.

use std::{io, mem};

use records::LINE_LIMIT;

/// Bytes per piece of a compressed object; memory holds little more than one. Larger than a part of a plain object,
/// because each piece is first written to the bucket.
const PIECE: usize = 2 * 1024 * 1024;

/// Decompressed text, from which pieces are cut at line breaks.
#[derive(Default)]
pub(super) struct Cut {
    text: Vec<u8>,
    /// No line break before this offset.
    searched: usize,
    /// The end of the last line break in `text`.
    line_break: usize,
    /// The offset of `text` in the whole.
    first: i64,
    /// Whether the current line exceeds the limit, so its rest is discarded.
    dropping: bool,
    /// Discarded bytes of the current line.
    dropped: i64,
    /// The end in `text` of a shortened line; 0 for none. A piece must end here, because the offsets of what follows
    /// are shifted.
    shortened: usize,
}

/// A piece of the text.
pub(super) struct Piece {
    /// Its offset in the whole.
    pub(super) first: i64,
    pub(super) text: Vec<u8>,
}

impl io::Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        if self.dropping {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let dropped = end.unwrap_or(rest.len());
            self.dropped += i64::try_from(dropped).unwrap_or_default();
            rest = &rest[dropped..];
            if end.is_some() {
                self.dropping = false;
                self.text.push(b'\n');
                self.shortened = self.text.len();
                rest = &rest[1..];
            }
        }
        self.text.extend_from_slice(rest);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Cut {
    /// The next piece, if there is enough text for one or this is the last text.
    pub(super) fn piece(&mut self, is_last: bool) -> Option<Piece> {
        let found = self.text[self.searched..]
            .iter()
            .rposition(|byte| *byte == b'\n');
        if let Some(found) = found {
            self.line_break = self.searched + found + 1;
        }
        self.searched = self.text.len();
        let rest = self.text.len() - self.line_break;
        let is_long = rest > LINE_LIMIT + 1 && self.shortened == 0;
        if is_long && !self.dropping && !is_last {
            // The line exceeds the limit already: the worker reports it and needs no more of it.
            self.dropping = true;
            self.dropped = i64::try_from(rest - LINE_LIMIT - 1).unwrap_or_default();
            self.text.truncate(self.line_break + LINE_LIMIT + 1);
            self.searched = self.text.len();
        }
        let end = if self.shortened > 0 {
            self.shortened
        } else if self.line_break >= PIECE {
            self.line_break
        } else if is_last {
            self.text.len()
        } else {
            0
        };
        if end == 0 {
            return None;
        }
        let rest = self.text.split_off(end);
        let piece = Piece {
            first: self.first,
            text: mem::replace(&mut self.text, rest),
        };
        self.first += i64::try_from(end).unwrap_or_default();
        if mem::take(&mut self.shortened) > 0 {
            self.first += mem::take(&mut self.dropped);
        }
        self.searched = 0;
        self.line_break = 0;
        Some(piece)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// Cuts a text that is written `slice` bytes at a time.
    fn pieces(text: &[u8], slice: usize) -> Vec<Piece> {
        let (mut cut, mut pieces) = (Cut::default(), Vec::new());
        for slice in text.chunks(slice) {
            cut.write_all(slice).expect("memory can be written");
            pieces.extend(std::iter::from_fn(|| cut.piece(false)));
        }
        pieces.extend(std::iter::from_fn(|| cut.piece(true)));
        pieces
    }

    #[test]
    fn pieces_are_whole_lines_and_add_up_to_the_text() {
        let text: Vec<u8> = (0..60_000)
            .flat_map(|n| format!("{n} {}\n", "x".repeat(n % 200)).into_bytes())
            .chain(b"the last has no end".iter().copied())
            .collect();
        for slice in [1_000, 16_384, 5_000_000, text.len()] {
            let pieces = pieces(&text, slice);
            let mut position = 0;
            for piece in &pieces {
                assert_eq!(piece.first, position, "written {slice} at a time");
                position += i64::try_from(piece.text.len()).expect("it is small");
            }
            let (last, others) = pieces.split_last().expect("there are pieces");
            assert!(others.iter().all(|piece| piece.text.ends_with(b"\n")));
            assert!(last.text.ends_with(b"the last has no end"));
            let together: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.text).collect();
            assert!(together == text, "written {slice} at a time");
        }
    }

    #[test]
    fn an_oversized_line_is_shortened_and_later_offsets_are_kept() {
        let mut text = b"first\n".to_vec();
        text.resize(6 + 3 * LINE_LIMIT, b'x');
        text.extend_from_slice(b"\nnext\n");
        let pieces = pieces(&text, 16_384);
        let [long, next] = &pieces[..] else {
            panic!("{} pieces", pieces.len());
        };
        assert_eq!(long.first, 0);
        let line = long.text.strip_prefix(b"first\n").expect("it comes first");
        assert_eq!(
            line.len(),
            LINE_LIMIT + 2,
            "just too long, and a line break"
        );
        assert_eq!(next.text, b"next\n");
        let place = i64::try_from(text.len() - b"next\n".len()).expect("it is small");
        assert_eq!(next.first, place);
    }
}
