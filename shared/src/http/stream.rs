//! Answers that are sent while they are made.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use lambda_http::http::{HeaderValue, header};

use super::Response;

/// A body that is sent while it is made. It cannot fail: once the status is sent, an error is something
/// that the body says.
pub type StreamedBody = UnsyncBoxBody<Bytes, Infallible>;

/// A response whose body is sent while it is made.
pub type StreamedResponse = lambda_http::Response<StreamedBody>;

/// 200 with server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.
pub fn events(events: impl Stream<Item = String> + Send + 'static) -> StreamedResponse {
    let frames = events.map(|event| Ok(http_body::Frame::data(Bytes::from(event))));
    let mut response = StreamedResponse::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A response that is whole already, where some are streamed.
#[must_use]
pub fn whole(response: Response) -> StreamedResponse {
    response.map(|body| Full::new(Bytes::from(body.to_vec())).boxed_unsync())
}

/// Keeps `guard` until the body has been sent, or nobody takes it any more.
pub(super) fn guarded<G: Send + 'static>(response: StreamedResponse, guard: G) -> StreamedResponse {
    response.map(|body| {
        body.map_frame(move |frame| {
            let _held = &guard;
            frame
        })
        .boxed_unsync()
    })
}
