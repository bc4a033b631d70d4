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

/// The statuses of refusals that pass: a limit of requests is reached, or the database or a queue is unavailable.
pub(crate) const REFUSED: [StatusCode; 2] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Sends a request to `url`, again while the API answers with one of the statuses `passing`. `pause` is told why, and waits.
///
/// # Errors
/// When nobody answers, or those of `pause`.
pub(crate) async fn patiently(
    api: &Api,
    url: &str,
    request: impl Fn() -> RequestBuilder,
    passing: &[StatusCode],
    pause: impl AsyncFn(String, Duration) -> anyhow::Result<()>,
) -> anyhow::Result<ApiResponse> {
    let mut attempt = 1;
    loop {
        let response = ApiResponse::of(api, request(), url).await?;
        let passes = attempt < ATTEMPTS && passing.contains(&response.status);
        let Some(wait) = response.wait(attempt).filter(|_| passes) else {
            return Ok(response);
        };
        pause(waiting(&response.refusal(), wait), wait).await?;
        attempt += 1;
    }
}

/// Tells the user why there is a wait, and waits.
pub(crate) async fn pause(why: String, wait: Duration) -> anyhow::Result<()> {
    note(&why);
    sleep(wait).await;
    Ok(())
}

/// What a wait is told with.
pub(crate) fn waiting(why: &anyhow::Error, wait: Duration) -> String {
    format!("waiting {} s: {why}", wait.as_secs())
}
