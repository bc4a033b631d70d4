//! Requests that an API refuses for now, sent again.

use std::time::Duration;

use reqwest::{RequestBuilder, StatusCode};
use tokio::time::sleep;

use crate::{
    remote::{Api, ApiResponse},
    terminal::note,
};

/// How often to send a request.
const ATTEMPTS: u32 = 6;

/// The types of those 503s after which nothing was begun.
const UNDONE: [&str; 2] = [
    "urn:rappel:problem:queue-unavailable",
    "urn:rappel:problem:storage-unavailable",
];

/// Whether a request is refused for now: a limit of requests is reached, or the database or a queue is unavailable.
pub(crate) fn is_refused(answer: &ApiResponse) -> bool {
    [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ]
    .contains(&answer.status)
}

/// Whether a request is refused for now and has surely had no effect. After other 503s, such as that of a lost connection to the
/// database, it may have had: sent again, it would begin a second import or make a second key.
pub(crate) fn is_undone(answer: &ApiResponse) -> bool {
    let kind = answer.body["type"].as_str().unwrap_or_default();
    answer.status == StatusCode::TOO_MANY_REQUESTS || UNDONE.contains(&kind)
}

/// Sends a request to `url`. Repeats it for as long as `passes` accepts the answer, up to [`ATTEMPTS`] times. Between two attempts it
/// calls `pause` with the reason, for the user, and the time to wait.
///
/// # Errors
/// If no server responds, and those of `pause`.
pub(crate) async fn patiently(
    api: &Api,
    url: &str,
    request: impl Fn() -> RequestBuilder,
    passes: impl Fn(&ApiResponse) -> bool,
    pause: impl AsyncFn(String, Duration) -> anyhow::Result<()>,
) -> anyhow::Result<ApiResponse> {
    let mut attempt = 1;
    loop {
        let response = ApiResponse::of(api, request(), url).await?;
        let is_sent_again = attempt < ATTEMPTS && passes(&response);
        let Some(wait) = response.wait(attempt).filter(|_| is_sent_again) else {
            return Ok(response);
        };
        pause(waiting(&response.refusal(), wait), wait).await?;
        attempt += 1;
    }
}

/// Prints the reason for a wait, and waits.
pub(crate) async fn pause(why: String, wait: Duration) -> anyhow::Result<()> {
    note(&why);
    sleep(wait).await;
    Ok(())
}

/// The message of a wait.
pub(crate) fn waiting(why: &anyhow::Error, wait: Duration) -> String {
    format!("waiting {} s: {why}", wait.as_secs())
}
