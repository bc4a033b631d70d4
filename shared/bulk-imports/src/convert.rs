//! Objects that are compressed, or no lines of JSON, to pieces of these.

use std::io::{self, Read, Write as _};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::cut::{Cut, Piece};

/// Bytes of text that are cut at a time.
const SLICE: usize = 16 * 1024;

/// Reads an object that is fetched meanwhile, and sends the pieces that it makes. The same object gives the same
/// pieces every time, as long as they are taken.
///
/// # Errors
/// Says what is wrong with the object.
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
        io::ErrorKind::UnexpectedEof => "the object ends too early: it is not whole".to_owned(),
        _ => format!("the object is damaged: {error}"),
    }
}

/// What is fetched of an object, as it comes.
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
