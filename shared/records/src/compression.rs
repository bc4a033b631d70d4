//! Decompression, selected by the first bytes.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;
use liblzma::bufread::XzDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::peek::{buffered, peek};

/// The first bytes of gzip (RFC 1952), zstd (RFC 8878) and xz (its file format, 2.1.1.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const XZ: &[u8] = &[0xfd, b'7', b'z', b'X', b'Z', 0];

/// A skippable frame of zstd starts like this, after a byte 0x50 to 0x5f.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// Whether a file that starts with `head` is compressed.
#[must_use]
pub fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(GZIP) || head.starts_with(XZ) || is_zstd(head)
}

/// The content of all compressed members, or uncompressed input unchanged.
pub(super) fn decompressed(source: Box<dyn Read + Send>) -> io::Result<Box<dyn BufRead + Send>> {
    let (head, source) = peek(buffered(source), XZ.len())?;
    Ok(if head.starts_with(GZIP) {
        buffered(Box::new(MultiGzDecoder::new(source)))
    } else if head.starts_with(XZ) {
        buffered(Box::new(XzDecoder::new_multi_decoder(source)))
    } else if is_zstd(&head) {
        buffered(Box::new(Frames {
            frame: None,
            source: Some(source),
        }))
    } else {
        source
    })
}

fn is_zstd(head: &[u8]) -> bool {
    let skippable = head.first().is_some_and(|byte| byte & 0xf0 == 0x50)
        && head.get(1..4) == Some(ZSTD_SKIPPABLE);
    head.starts_with(ZSTD) || skippable
}

type Compressed = Box<dyn BufRead + Send>;

/// All frames of zstd in sequence.
struct Frames {
    frame: Option<StreamingDecoder<Compressed, FrameDecoder>>,
    /// The source after a frame, between frames.
    source: Option<Compressed>,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let count = frame.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.source = self.frame.take().map(StreamingDecoder::into_inner);
            }
            let Some(mut source) = self.source.take() else {
                return Ok(0);
            };
            if source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            self.begin(source)?;
        }
    }
}

impl Frames {
    fn begin(&mut self, mut source: Compressed) -> io::Result<()> {
        // On failure the decoder is lost, with the bytes read of a skippable frame: so they are read here.
        let (head, rest) = peek(source, 8)?;
        source = rest;
        if !head.starts_with(ZSTD) && is_zstd(&head) {
            let length = head.get(4..8).and_then(|length| length.try_into().ok());
            let length = length
                .map(u32::from_le_bytes)
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            io::copy(
                &mut source.by_ref().take(8 + u64::from(length)),
                &mut io::sink(),
            )?;
            self.source = Some(source);
            return Ok(());
        }
        let frame = StreamingDecoder::new(source).map_err(io::Error::other)?;
        self.frame = Some(frame);
        Ok(())
    }
}
