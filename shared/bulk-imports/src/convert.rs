//! Converts objects that are compressed, or not JSON lines, to pieces of JSON lines.

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::cut::{Cut, Piece};

/// Bytes of text per write.
const SLICE: usize = 16 * 1024;

/// Reads an object while it is fetched and sends its pieces until the receiver closes. The same object always gives
/// the same pieces.
///
/// # Errors
/// Describes what is wrong with the object.
pub(super) fn convert(source: Fetched, pieces: &mpsc::Sender<Piece>) -> Result<(), String> {
    let mut text = records::open(source).map_err(|error| match error {
        records::OpenError::Io(error) => broken(&error),
        unknown @ records::OpenError::Unknown(_) => unknown.to_string(),
    })?;
    let mut cut = Cut::default();
    let mut slice = Vec::with_capacity(SLICE);
    loop {
        slice.clear();
        let read = text.by_ref().take(SLICE as u64).read_to_end(&mut slice);
        read.map_err(|error| broken(&error))?;
        cut.write_all(&slice).map_err(|error| broken(&error))?;
        let is_last = slice.is_empty();
        while let Some(piece) = cut.piece(is_last) {
            if pieces.blocking_send(piece).is_err() {
                return Ok(());
            }
        }
        if is_last {
            return Ok(());
        }
    }
}

fn broken(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the object is truncated".to_owned(),
        _ => format!("the object is damaged: {error}"),
    }
}

/// The object's bytes as they arrive.
pub(super) struct Fetched {
    windows: mpsc::Receiver<Bytes>,
    window: Bytes,
}

impl Fetched {
    pub(super) fn new(windows: mpsc::Receiver<Bytes>) -> Self {
        Self {
            windows,
            window: Bytes::new(),
        }
    }
}

impl Read for Fetched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.window.is_empty() {
            match self.windows.blocking_recv() {
                Some(window) => self.window = window,
                None => return Ok(0),
            }
        }
        let count = self.window.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.window.split_to(count));
        Ok(count)
    }
}
