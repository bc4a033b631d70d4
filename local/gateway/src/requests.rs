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

use http_body_util::{BodyExt as _, Either, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body as _, Bytes, Incoming},
    header::{ALLOW, EXPECT, HeaderValue},
    http::request::Parts,
};
use template::{Match, Routes, decoded};
use tokio::time::timeout;

use super::{
    event::Received,
    invocation::{ErrorKind, FunctionError, Outcome},
    origin::{self, Allowed},
    pool::Pool,
    problem::Problem,
    response,
    stream::ClientBody,
};

/// Lambda's limit on the payload of a synchronous invocation, in bytes, counted here on the body.
pub(super) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;
/// How long, and for how many bytes, the body of a refused request is read and thrown away.
const DRAIN_TIME: Duration = Duration::from_secs(10);
const DRAIN_BYTES: usize = 256 * 1024 * 1024;

/// The header of the gateway's own answers, as functions have it.
const REQUEST_ID: &str = "x-request-id";
/// The header that API Gateway adds to the answers of functions.
const GATEWAY_ID: &str = "apigw-requestid";

/// What every connection shares.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) routes: Routes,
    pub(super) pools: Vec<Arc<Pool>>,
    pub(super) allowed: Allowed,
    /// How long a body may stall.
    pub(super) stall: Duration,
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
    let (parts, body) = request.into_parts();
    let (origin, outcome) = match front.allowed.check(&parts) {
        Ok(origin) => (origin, dispatched(&front, &id, &parts, body, peer).await),
        Err(problem) => (None, Err(problem)),
    };
    let mut response = outcome.unwrap_or_else(|problem| problem.into_response(&id));
    let headers = response.headers_mut();
    if let Some(id) = id_header {
        headers.entry(REQUEST_ID).or_insert(id);
    }
    if let Some(origin) = origin {
        origin::expose(headers, origin);
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

/// Sends a request that may be asked to the function of its route.
async fn dispatched(
    front: &Front,
    id: &str,
    parts: &Parts,
    body: Incoming,
    peer: SocketAddr,
) -> Result<Response<ClientBody>, Problem> {
    let received = parts.uri.path();
    let path = decoded(received).ok_or_else(Problem::malformed_url)?;
    // Its parameters are read by the function, but an event's are decoded with replacement characters.
    let query = parts.uri.query().unwrap_or_default();
    if !query.split(['&', '=']).all(|text| decoded(text).is_some()) {
        return Err(Problem::malformed_url());
    }
    if origin::is_preflight(parts) {
        let methods = front.routes.methods(&path);
        if methods.is_empty() {
            return Err(Problem::unknown_path(&path));
        }
        return Ok(origin::preflight(parts, &methods));
    }
    let (route, parameters) = match front.routes.find(&parts.method, &path) {
        Match::Found(route, parameters) => (route, parameters),
        Match::OtherMethods(methods) if parts.method == Method::OPTIONS => {
            return Ok(options(&methods));
        }
        Match::OtherMethods(methods) => {
            return Err(Problem::method_not_allowed(parts.method.as_str(), &methods));
        }
        Match::Unknown => return Err(Problem::unknown_path(&path)),
    };
    let body = read_body(&parts.headers, body, front.stall).await?;
    let received = Received {
        id,
        parts,
        path: if route.is_url() { received } else { &path },
        body: &body,
        peer: peer.ip(),
        time: SystemTime::now(),
        route,
        parameters,
    };
    let mut response = through_function(front, &received).await?;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(GATEWAY_ID, id);
    }
    Ok(response)
}

async fn through_function(
    front: &Front,
    received: &Received<'_>,
) -> Result<Response<ClientBody>, Problem> {
    let name = &received.route.function;
    let Some(pool) = front.pool(name) else {
        return Err(Problem::function_failed(format!(
            "Function `{name}` has no binary."
        )));
    };
    let failed = |why: String| Problem::function_failed(format!("Function `{name}` {why}."));
    let event = received
        .to_event()
        .map_err(|error| failed(format!("has no event: {error}")))?;
    match pool.invoke(received.id.to_owned(), event.into()).await {
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

/// Reads a body up to [`PAYLOAD_LIMIT`]; one that says it is longer is not read at all, and one that stalls
/// for so long is given up.
async fn read_body(
    headers: &HeaderMap,
    mut body: Incoming,
    stall: Duration,
) -> Result<Bytes, Problem> {
    let mut read = Vec::new();
    if body.size_hint().lower() <= PAYLOAD_LIMIT as u64 {
        loop {
            let frame = timeout(stall, body.frame()).await;
            let frame = frame.map_err(|_| Problem::stalled_body(stall))?;
            let Some(frame) = frame else {
                return Ok(read.into());
            };
            let frame = frame.map_err(|_| Problem::unreadable_body())?;
            let data = frame.data_ref().map_or(&[][..], |data| data);
            if read.len() + data.len() > PAYLOAD_LIMIT {
                break;
            }
            read.extend_from_slice(data);
        }
    }
    // Closing the connection on a client that is still sending makes its kernel drop the answer. So what
    // it sends is read and thrown away while the answer is on its way, within limits. A client that
    // waits for a leave to send has not begun.
    if !headers.contains_key(EXPECT) {
        tokio::spawn(timeout(DRAIN_TIME, drain(body)));
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
