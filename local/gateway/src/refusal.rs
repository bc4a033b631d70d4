//! What cannot be read as a request gets a problem document with an id, as everything else does.
//!
//! hyper answers it by itself, with a bare status and without a way to say more. It is the one answer that
//! bears no request id, by which it is told from ours and replaced on its way out.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    problem::{self, Problem},
    requests,
};

/// A connection on which hyper's own refusals are replaced.
#[derive(Debug)]
pub(super) struct Refusals<T> {
    connection: T,
    /// What is left to write of a refusal.
    refusal: Option<io::Cursor<Vec<u8>>>,
}

impl<T> Refusals<T> {
    pub(super) fn new(connection: T) -> Self {
        let refusal = None;
        Self {
            connection,
            refusal,
        }
    }
}

/// The status of an answer that hyper made by itself: a short head without an id and a body.
fn refused(written: &[u8]) -> Option<StatusCode> {
    const LONGEST: usize = 256;
    let head = written
        .strip_prefix(b"HTTP/1.1 4")?
        .strip_suffix(b"\r\n\r\n")?;
    let head = std::str::from_utf8(head).ok()?;
    let is_bare = head.len() < LONGEST
        && head.contains("\r\ncontent-length: 0")
        && !head.contains("-request-id: ")
        && !head.contains("apigw-requestid: ");
    let code = written.get(b"HTTP/1.1 ".len()..)?.get(..3)?;
    is_bare.then(|| StatusCode::from_bytes(code).ok()).flatten()
}

fn answer(status: StatusCode) -> Vec<u8> {
    let id = requests::request_id();
    let document = Problem::unreadable(status).document(&id);
    let (content, length) = (problem::CONTENT, document.len());
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content}\r\ncontent-length: {length}\r\nx-request-id: {id}\r\nconnection: close\r\n\r\n"
    );
    (head + &document).into_bytes()
}

impl<T: AsyncWrite + Unpin> Refusals<T> {
    fn poll_refusal(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = &mut self.refusal {
            let from = usize::try_from(refusal.position()).unwrap_or(usize::MAX);
            let left = refusal.get_ref().get(from..).unwrap_or_default();
            if left.is_empty() {
                self.refusal = None;
                break;
            }
            let written = ready!(Pin::new(&mut self.connection).poll_write(context, left))?;
            refusal.set_position((from + written) as u64);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Refusals<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_refusal(context))?;
        if let Some(status) = refused(bytes) {
            self.refusal = Some(io::Cursor::new(answer(status)));
            // The rest of it goes out with the flush.
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        all: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [one] = all {
            return self.poll_write(context, one);
        }
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.connection).poll_write_vectored(context, all)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_refusal(context))?;
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Refusals<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_bare_refusal_is_one() {
        let bare =
            b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(
            refused(bare),
            Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        );
        for other in [
            &b"HTTP/1.1 404 Not Found\r\nx-request-id: 1\r\ncontent-length: 0\r\n\r\n"[..],
            b"HTTP/1.1 404 Not Found\r\napigw-requestid: 1\r\ncontent-length: 0\r\n\r\n",
            b"HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(refused(other), None);
        }
    }
}
