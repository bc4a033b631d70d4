//! Looks at the first bytes without consuming them.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// Reads up to `bytes` ahead: a pipe may return them one by one. Damaged input with a good beginning is read as far as
/// possible.
pub(super) fn peek(
    mut source: Box<dyn BufRead + Send>,
    bytes: usize,
) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut head = Vec::new();
    let read = source.by_ref().take(bytes as u64).read_to_end(&mut head);
    let beginning = Cursor::new(head.clone());
    match read {
        Ok(_) => Ok((head, Box::new(beginning.chain(source)))),
        Err(error) if head.is_empty() => Err(error),
        Err(error) => {
            let broken = BufReader::new(Broken(Some(error)));
            Ok((head, Box::new(beginning.chain(broken))))
        }
    }
}

/// Returns the error of a source.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

pub(super) fn buffered(source: Box<dyn Read + Send>) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(64 * 1024, source))
}
