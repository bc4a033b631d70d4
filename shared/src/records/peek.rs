//! The first bytes of what is read, which are then read all the same.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// Reads up to `bytes` ahead: a pipe may hand them over one by one.
pub(super) fn peek(
    mut source: Box<dyn BufRead + Send>,
    bytes: usize,
) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut head = Vec::new();
    source.by_ref().take(bytes as u64).read_to_end(&mut head)?;
    let whole = Cursor::new(head.clone()).chain(source);
    Ok((head, Box::new(whole)))
}

pub(super) fn buffered(source: Box<dyn Read + Send>) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(64 * 1024, source))
}
