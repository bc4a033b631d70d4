//! The stdin of a program.

use std::{
    io::{self, Read as _},
    thread,
};

use tokio::{
    io::{AsyncWriteExt as _, DuplexStream, duplex},
    runtime::Handle,
};

/// Bytes that are read at a time.
const PIECE: usize = 64 * 1024;

/// The lines of stdin, the last of which ends although nobody ended it. A thread reads them that the end of the command does
/// not wait for: the runtime's own would hold it up until the program writes again.
pub(super) fn lines() -> DuplexStream {
    let (mut written, read) = duplex(PIECE);
    let runtime = Handle::current();
    thread::spawn(move || {
        let mut stdin = io::stdin().lock();
        let mut piece = vec![0; PIECE];
        let mut last = b'\n';
        loop {
            let count = match stdin.read(&mut piece) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            };
            let Some(end) = piece[..count].last() else {
                break;
            };
            last = *end;
            if runtime
                .block_on(written.write_all(&piece[..count]))
                .is_err()
            {
                // Nobody reads any more.
                return;
            }
        }
        if last != b'\n' {
            // As above.
            let _ = runtime.block_on(written.write_all(b"\n"));
        }
    });
    read
}
