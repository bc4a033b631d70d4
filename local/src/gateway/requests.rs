//! From a client's request to its answer.

use std::{
    convert::Infallible,
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, EXPECT, HeaderName, HeaderValue},
};

use super::{
    event::Received,
    invocation::{ErrorKind, FunctionError, Outcome},
    pool::Pool,
    problem::Problem,
    response,
    route::{Match, Routes},
    stream::FunctionStream,
};

/// Lambda's limit on the payload of a synchronous invocation, in bytes, counted here on the body.
pub(super) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;
/// How long, and for how many bytes, the body of a refused request is read and thrown away.
const DRAIN_TIME: Duration = Duration::from_secs(10);
const DRAIN_BYTES: usize = 256 * 1024 * 1024;

/// An answer's body: known as a whole, or passed on as the function writes it.
pub(super) type ClientBody = Either<Full<Bytes>, FunctionStream>;

/// What every connection shares.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) routes: Routes,
    pub(super) pools: Vec<Arc<Pool>>,
}

impl Front {
    /// The pool of a function, named by its binary or its template resource.
    pub(super) fn pool(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools
            .iter()
            .find(|pool| pool.function().binary == name || pool.function().resource == name)
    }
}

/// Answers one request.
pub(super) async fn answer(
    front: Arc<Front>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response<ClientBody> {
    let id = request_id();
    // An id of hexadecimal digits and hyphens is a valid header value.
    let id_header = HeaderValue::try_from(id.as_str()).ok();
    let (mut response, name) = match through_function(&front, &id, request, peer).await {
        Ok(response) => (response, HeaderName::from_static("apigw-requestid")),
        Err(problem) => (
            problem.into_response(),
            HeaderName::from_static("x-request-id"),
        ),
    };
    if let Some(id) = id_header {
        response.headers_mut().insert(name, id);
    }
    response
}

/// A new id in the form of a UUID, unique within and across processes.
pub(super) fn request_id() -> String {
    static PROCESS: LazyLock<u64> =
        LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static COUNT: AtomicU64 = AtomicU64::new(1);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) & 0xffff_ffff_ffff;
    let random = *PROCESS;
    format!(
        "{:08x}-{:04x}-4{:03x}-8000-{count:012x}",
        random >> 32,
        random >> 16 & 0xffff,
        random & 0xfff
    )
}

async fn through_function(
    front: &Front,
    id: &str,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Result<Response<ClientBody>, Problem> {
    let (parts, body) = request.into_parts();
    let (route, parameters) = match front.routes.find(&parts.method, parts.uri.path()) {
        Match::Found(route, parameters) => (route, parameters),
        Match::OtherMethods(methods) if parts.method == Method::OPTIONS => {
            return Ok(options(&methods));
        }
        Match::OtherMethods(methods) => {
            return Err(Problem::method_not_allowed(parts.method.as_str(), &methods));
        }
        Match::Unknown => return Err(Problem::unknown_path(parts.uri.path())),
    };
    let Some(pool) = front.pool(&route.function) else {
        return Err(Problem::function_failed(format!(
            "Function `{}` has no binary.",
            route.function
        )));
    };
    let body = read_body(&parts.headers, body).await?;
    let (peer, time) = (peer.ip(), SystemTime::now());
    let received = Received {
        id,
        parts: &parts,
        body: &body,
        peer,
        time,
        route,
        parameters,
    };
    let failed =
        |why: String| Problem::function_failed(format!("Function `{}` {why}.", route.function));
    let event = received
        .to_event()
        .map_err(|error| failed(format!("has no event: {error}")))?;
    match pool.invoke(id.to_owned(), event.into()).await {
        Outcome::Response(payload) => {
            let response = response::from_payload(&payload);
            response
                .map(|response| response.map(Either::Left))
                .map_err(|why| failed(format!("answered {why}")))
        }
        Outcome::Stream(response) => Ok(response.map(Either::Right)),
        Outcome::Failed(error) => Err(problem(&error)),
    }
}

fn problem(error: &FunctionError) -> Problem {
    let detail = error.to_string();
    match error.kind {
        ErrorKind::Busy => Problem::too_busy(detail),
        ErrorKind::Deadline => Problem::deadline(detail),
        ErrorKind::Failed => Problem::function_failed(detail),
    }
}

/// What an OPTIONS request gets on a path whose routes do not name OPTIONS.
fn options(methods: &[&str]) -> Response<ClientBody> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Ok(allow) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Reads a body up to [`PAYLOAD_LIMIT`]; one that says it is longer is not read at all.
async fn read_body(headers: &HeaderMap, mut body: Incoming) -> Result<Bytes, Problem> {
    let told = body.size_hint().lower();
    if told <= PAYLOAD_LIMIT as u64 {
        match Limited::new(&mut body, PAYLOAD_LIMIT).collect().await {
            Ok(collected) => return Ok(collected.to_bytes()),
            Err(error) if !error.is::<LengthLimitError>() => return Err(Problem::unreadable_body()),
            Err(_) => {}
        }
    }
    // Closing the connection on a client that is still sending makes its kernel drop the answer. So what
    // it sends is read and thrown away while the answer is on its way, within limits. A client that
    // waits for a leave to send has not begun.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(tokio::time::timeout(DRAIN_TIME, drain(body)));
    }
    Err(Problem::body_too_large(PAYLOAD_LIMIT))
}

async fn drain(mut body: Incoming) -> Result<(), Infallible> {
    let mut left = DRAIN_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(less) => left = less,
            None => break,
        }
    }
    Ok(())
}
