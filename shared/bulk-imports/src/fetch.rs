//! Reads whole objects, in windows.

use std::time::Instant;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Imports, attempt::WorkError, lines::Object, source::ReadError};

/// Bytes per read.
const WINDOW: u64 = 4 * 1024 * 1024;

/// Reads an object until its end, or until the receiver closes.
pub(super) async fn fetch(
    imports: &Imports,
    object: &Object,
    windows: mpsc::Sender<Bytes>,
    until: Instant,
) -> Result<(), WorkError> {
    let mut position = 0;
    while position < object.bytes {
        let range = position..(position + WINDOW).min(object.bytes);
        position = range.end;
        let etag = object.etag.as_deref();
        let bytes = object.source.read(&imports.s3, &range, etag).await?;
        if bytes.len() as u64 != range.end - range.start {
            return Err(ReadError::Changed.into());
        }
        if windows.send(bytes).await.is_err() {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(WorkError::Failed {
                reason: "not enough time to read the whole object",
                cause: None,
            });
        }
    }
    Ok(())
}

/// Reads a whole object.
pub(super) async fn whole(
    imports: &Imports,
    object: &Object,
    until: Instant,
) -> Result<Vec<u8>, WorkError> {
    let (windows, mut arriving) = mpsc::channel::<Bytes>(1);
    let collect = async {
        let mut bytes = Vec::with_capacity(usize::try_from(object.bytes).unwrap_or_default());
        while let Some(window) = arriving.recv().await {
            bytes.extend_from_slice(&window);
        }
        Ok(bytes)
    };
    let ((), bytes) = futures_util::try_join!(fetch(imports, object, windows, until), collect)?;
    Ok(bytes)
}
