//! From events to responses: the common code around each function's `handle`.

mod authorize;
mod cors;
mod limits;
#[cfg(target_os = "linux")]
mod nagle;
mod parameters;
mod request;
mod response;
mod stream;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use access::{Access, Quota};
use database;
use futures_util::FutureExt as _;
use lambda_http::{RequestExt as _, http::Method, request::RequestContext, service_fn};
use telemetry::{self, Telemetry};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

pub use self::{
    authorize::caller,
    parameters::{Parameters, list_request},
    request::{expected, if_match, if_none_match, json, optional_path_parameter, path_parameter},
    response::{created, empty, not_modified, ok, report, respond, tagged},
    stream::{StreamedBody, StreamedResponse, events, whole},
};
use crate::{Error, State, time_left};

/// A Lambda request.
pub use lambda_http::Request;
/// A Lambda response.
pub type Response = lambda_http::Response<lambda_http::Body>;

/// Bytes of the largest body: 6 MB, Lambda's limit for the payload of a synchronous invocation.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const BODY_LIMIT: usize = 6 * 1024 * 1024;

/// Time for a finished response to leave the sandbox before the process ends; Lambda kills it 500 ms after
/// SIGTERM.
const DELIVERY: Duration = Duration::from_millis(100);

/// Runs a function until Lambda ends it: log, state, Init, then `handle` for each request.
///
/// # Errors
/// When a setting is missing or wrong, or another model embedded the database.
pub async fn serve<S, H, F>(function: &'static str, handle: H) -> Result<(), lambda_http::Error>
where
    S: State,
    H: Fn(S, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<Response, Error>> + Send + 'static,
{
    let telemetry = Telemetry::start(function)?;
    let running = Running::<S>::start(function).await?;
    let handle = Arc::new(handle);
    let handle = service_fn(move |request: Request| {
        let request_id = request.lambda_context().request_id;
        let bare = request.method() == Method::HEAD;
        let answer = running.answer(request, &handle);
        async move {
            let (outcome, quotas, _guard) = answer.await;
            let mut response = response::finish(outcome, &request_id);
            limits::write(&quotas, response.headers_mut());
            Ok::<_, Infallible>(if bare {
                response.map(|_| lambda_http::Body::Empty)
            } else {
                response
            })
        }
    });
    telemetry.run(lambda_http::runtime(handle)).await
}

/// Like [`serve`], for a function that streams its responses. `refuse` may turn the error of a request to a path into a response
/// of another shape than a problem document.
///
/// # Errors
/// As [`serve`].
pub async fn serve_streams<S, H, F>(
    function: &'static str,
    handle: H,
    refuse: fn(&str, Error) -> Result<Response, Error>,
) -> Result<(), lambda_http::Error>
where
    S: State,
    H: Fn(S, Request) -> F + Send + Sync + 'static,
    F: Future<Output = Result<StreamedResponse, Error>> + Send + 'static,
{
    let telemetry = Telemetry::start(function)?;
    let running = Running::<S>::start(function).await?;
    let handle = Arc::new(handle);
    let handle = service_fn(move |request: Request| {
        let request_id = request.lambda_context().request_id;
        let page = cors::Page::of(&request);
        let path = request.raw_http_path().to_owned();
        let answer = running.answer(request, &handle);
        async move {
            let (outcome, quotas, guard) = answer.await;
            #[cfg(target_os = "linux")]
            if let Err(cause) = nagle::off() {
                tracing::debug!(%cause, "Nagle's algorithm stays on");
            }
            let mut response = outcome
                .or_else(|error| refuse(&path, error).map(whole))
                .unwrap_or_else(|error| whole(response::finish(Err(error), &request_id)));
            response::identify(&mut response, &request_id);
            limits::write(&quotas, response.headers_mut());
            page.allow(response.headers_mut());
            telemetry::answered(response.status().as_u16());
            Ok::<_, Infallible>(stream::guarded(response, guard))
        }
    });
    telemetry.run(lambda_http::streaming_runtime(handle)).await
}

/// A function after its Init.
struct Running<S> {
    function: &'static str,
    state: S,
    access: Arc<Access>,
    /// Read-locked by each request in flight.
    in_flight: Arc<RwLock<()>>,
}

impl<S: State> Running<S> {
    async fn start(function: &'static str) -> Result<Self, lambda_http::Error> {
        let started = async {
            let access = Arc::new(Access::from_env()?);
            let state = S::from_env(function)?;
            state.warm().await?;
            Ok::<_, lambda_http::Error>((state, access))
        };
        let (state, access) = started
            .await
            .inspect_err(|error| tracing::error!(%error, "cannot start"))?;
        Ok(Self {
            function,
            state: state.clone(),
            access: Arc::clone(&access),
            in_flight: close_on_shutdown(state, access).await,
        })
    }

    /// The outcome of a request whose caller may send it, what is left of the caller's limits, and a guard to hold until the
    /// response is sent. A panic is an outcome too.
    fn answer<H, F, R>(
        &self,
        mut request: Request,
        handle: &Arc<H>,
    ) -> impl Future<Output = (Result<R, Error>, Vec<Quota>, OwnedRwLockReadGuard<()>)> + use<S, H, F, R>
    where
        H: Fn(S, Request) -> F,
        F: Future<Output = Result<R, Error>>,
    {
        let guard = Arc::clone(&self.in_flight).read_owned();
        telemetry::asked(&route_key(&request), request.headers());
        let deadline = deadline(&request);
        // HEAD is GET without the response body.
        if request.method() == Method::HEAD {
            *request.method_mut() = Method::GET;
        }
        let (function, handle) = (self.function, Arc::clone(handle));
        let (state, access) = (self.state.clone(), Arc::clone(&self.access));
        let quotas = Arc::new(OnceLock::new());
        let found = Arc::clone(&quotas);
        let answer = async move {
            request::check_url(&request)?;
            authorize::authorize(function, &state, &access, &found, &mut request).await?;
            handle(state, request).await
        };
        let answer = AssertUnwindSafe(database::within(deadline, answer)).catch_unwind();
        async move {
            let guard = guard.await;
            let outcome = answer
                .await
                .unwrap_or_else(|panic| Err(Error::panicked(&*panic)));
            (outcome, quotas.get().cloned().unwrap_or_default(), guard)
        }
    }
}

/// The deadline of the invocation.
#[must_use]
pub fn deadline(request: &Request) -> Instant {
    Instant::now() + time_left(&request.lambda_context())
}

/// The key of the request's route, `GET /documents/{id+}`; `$default` for a function URL.
#[must_use]
pub fn route_key(request: &Request) -> String {
    let key = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.clone(),
        Some(RequestContext::ApiGatewayV1(context)) => {
            let path = context.resource_path.as_deref();
            path.map(|path| format!("{} {path}", context.http_method))
        }
        _ => None,
    };
    key.unwrap_or_else(|| "$default".to_owned())
}

/// On SIGTERM: waits for the request in flight, notes its usage, closes the pool, ends the process with 0.
async fn close_on_shutdown(state: impl State, access: Arc<Access>) -> Arc<RwLock<()>> {
    let in_flight = Arc::new(RwLock::new(()));
    let last = Arc::clone(&in_flight);
    lambda_runtime::spawn_graceful_shutdown_handler(move || async move {
        if last.try_write().is_err() {
            let _last = last.write().await;
            tokio::time::sleep(DELIVERY).await;
        }
        access.close(state.database()).await;
        state.database().close().await;
    })
    .await;
    in_flight
}
