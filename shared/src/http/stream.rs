//! Streamed responses.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use lambda_http::http::{HeaderName, HeaderValue, header};
use telemetry::Record;

use super::Response;

/// A streamed body. It cannot fail: once the status is sent, the body itself reports errors.
pub type StreamedBody = UnsyncBoxBody<Bytes, Infallible>;

/// A response with a streamed body.
pub type StreamedResponse = lambda_http::Response<StreamedBody>;

/// 200 with server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
pub fn events(events: impl Stream<Item = String> + Send + 'static) -> StreamedResponse {
    let frames = events.map(|event| Ok(Frame::data(Bytes::from(event))));
    let mut response = StreamedResponse::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    for (name, value) in [
        // Without it some clients read ISO-8859-1.
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        // A compressing proxy would delay events.
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        // nginx buffers otherwise.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Turns a complete response into a streamed one.
#[must_use]
pub fn whole(response: Response) -> StreamedResponse {
    response.map(|body| Full::new(Bytes::from(body.to_vec())).boxed_unsync())
}

/// Holds `guard` until the body is sent or dropped. Logs of the stream belong to the invocation, whose task has
/// ended by then.
pub(super) fn guarded<G: Send + Unpin + 'static>(
    response: StreamedResponse,
    guard: G,
) -> StreamedResponse {
    let record = Record::current();
    response.map(|body| {
        let guarded = Guarded {
            body,
            record,
            _guard: guard,
        };
        guarded.boxed_unsync()
    })
}

struct Guarded<G> {
    body: StreamedBody,
    record: Option<Record>,
    _guard: G,
}

impl<G: Unpin> Body for Guarded<G> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { body, record, .. } = &mut *self;
        let poll = || Pin::new(body).poll_frame(context);
        match record {
            Some(record) => record.within(poll),
            None => poll(),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<G> Drop for Guarded<G> {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            record.end();
        }
    }
}
