//! Responses that a function streams: the body of its POST to the Runtime API is the client's body.
//!
//! Nothing is stored on the way: the function's bytes are read when the client's connection takes them, so
//! a slow client makes the function wait.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    HeaderMap, Response,
    body::{Body, Bytes, Frame, Incoming},
    header::CONTENT_TYPE,
};
use tokio::sync::oneshot;

use super::response::FunctionResponse;

/// The content type of a stream that begins with its status and headers.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
/// What ends the prelude.
const DELIMITER: [u8; 8] = [0; 8];
/// The longest prelude, in bytes; API Gateway allows 10,240 bytes of response headers.
const PRELUDE_LIMIT: usize = 64 * 1024;
/// The trailer by which a function reports that it failed within its stream.
const ERROR_TRAILER: &str = "lambda-runtime-function-error-type";

/// An answer's body: known as a whole, or passed on as the function writes it.
pub(super) type ClientBody = Either<Full<Bytes>, FunctionStream>;

/// The rest of a function's POST, on its way to the client.
#[derive(Debug)]
pub(super) struct FunctionStream {
    /// What came along with the prelude.
    first: Bytes,
    rest: Incoming,
    /// Sent to when the whole stream has passed, dropped when the client has gone before.
    passed: Option<oneshot::Sender<()>>,
}

/// Reads the prelude of a stream. The receiver resolves when the stream has passed, to an error if the
/// client has gone before. The error ends the sentence "The function answered".
pub(super) async fn open(
    headers: &HeaderMap,
    mut body: Incoming,
) -> Result<(Response<FunctionStream>, oneshot::Receiver<()>), String> {
    let (head, first) = if headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == WITH_PRELUDE)
    {
        prelude(&mut body).await?
    } else {
        (FunctionResponse::default(), Bytes::new())
    };
    let (passed, end) = oneshot::channel();
    let response = head.with_body(FunctionStream {
        first,
        rest: body,
        passed: Some(passed),
    })?;
    Ok((response, end))
}

/// Reads a whole stream as text, for a caller that is not an HTTP client.
pub(super) async fn read_to_end(stream: FunctionStream) -> anyhow::Result<String> {
    let collected = stream.collect().await.map_err(anyhow::Error::from_boxed)?;
    String::from_utf8(collected.to_bytes().into()).context("the streamed response is not UTF-8")
}

async fn prelude(body: &mut Incoming) -> Result<(FunctionResponse, Bytes), String> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("with a broken stream: {error}"))?;
        // The delimiter may begin in the bytes read before.
        let from = read.len().saturating_sub(DELIMITER.len() - 1);
        read.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        let found = read[from..]
            .windows(DELIMITER.len())
            .position(|window| window == DELIMITER);
        if let Some(at) = found.map(|at| from + at) {
            let head = serde_json::from_slice(&read[..at]);
            let head = head.map_err(|error| format!("with an unreadable prelude: {error}"))?;
            return Ok((head, Bytes::from(read).slice(at + DELIMITER.len()..)));
        }
        if read.len() > PRELUDE_LIMIT {
            break;
        }
    }
    Err("with a stream that has no prelude".to_owned())
}

impl Body for FunctionStream {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match ready!(Pin::new(&mut self.rest).poll_frame(context)) {
            Some(Ok(frame))
                if frame
                    .trailers_ref()
                    .is_none_or(|all| !all.contains_key(ERROR_TRAILER)) =>
            {
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Ok(_)) => Poll::Ready(Some(Err("the function failed within its stream".into()))),
            Some(Err(error)) => Poll::Ready(Some(Err(error.into()))),
            // A POST that was cut looks like one that ended, but nobody waits for its end any more.
            None => match self.passed.take().map(|passed| passed.send(())) {
                Some(Err(())) => {
                    Poll::Ready(Some(Err("the function ended within its stream".into())))
                }
                _ => Poll::Ready(None),
            },
        }
    }
}
