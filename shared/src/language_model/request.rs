//! The request to the endpoint, made again while it is busy.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode, header::RETRY_AFTER};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{LanguageModelError, Message, chunk};
use crate::{cause::chain, client, config::LanguageModelConfig, secret::Secret};

/// Attempts beyond the first one.
const RETRIES: u32 = 3;
/// The longest pause before the first of them; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// How long the endpoint may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read of an error's body.
const ERROR_BYTES: usize = 64 * 1024;

/// Where requests go, and what is in all of them.
#[derive(Debug)]
pub(super) struct Endpoint {
    client: Client,
    url: String,
    model: String,
    key: Option<Secret>,
    parameters: Map<String, Value>,
}

/// An attempt that failed, and whether another one makes sense: after this pause, if one is given.
struct Failure {
    error: LanguageModelError,
    again: Again,
}

enum Again {
    No,
    Soon,
    After(Duration),
}

impl Endpoint {
    pub(super) fn new(config: &LanguageModelConfig) -> Result<Self, LanguageModelError> {
        let client = client::builder()
            .connect_timeout(CONNECT)
            // An idle connection would not survive a freeze, and whether it did shows only after a
            // request was lost on it. A new one is a tenth of the time to the first token.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| LanguageModelError::Connection(chain(&error)))?;
        Ok(Self {
            client,
            url: format!("{}/chat/completions", config.base_url),
            model: config.model.clone(),
            key: config.api_key.as_deref().map(Secret::parse).transpose()?,
            parameters: config.parameters.clone(),
        })
    }

    /// The body of a request; the configured parameters have the last word.
    pub(super) fn body(&self, messages: &[Message]) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": messages,
            "stream": true,
            "stream_options": { "include_usage": true },
        });
        for (name, value) in &self.parameters {
            body[name] = value.clone();
        }
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        body
    }

    /// Asks until the endpoint begins to answer, or for good refuses to; not again if the pause before it
    /// would last beyond `until`.
    pub(super) async fn open(
        &self,
        body: &Value,
        until: Instant,
    ) -> Result<Response, LanguageModelError> {
        let mut longest = FIRST_PAUSE;
        for _ in 0..RETRIES {
            let failure = match self.attempt(body).await {
                Ok(response) => return Ok(response),
                Err(failure) => failure,
            };
            // Sandboxes that were refused together must not come back together.
            let backoff = longest.mul_f64(fastrand::f64().midpoint(1.0));
            let pause = match failure.again {
                Again::No => return Err(failure.error),
                Again::Soon => backoff,
                Again::After(pause) => pause.max(backoff),
            };
            if Instant::now() + pause >= until {
                return Err(failure.error);
            }
            tracing::warn!(cause = %failure.error, ?pause, "the language model is asked again");
            tokio::time::sleep(pause).await;
            longest *= 2;
        }
        self.attempt(body).await.map_err(|failure| failure.error)
    }

    async fn attempt(&self, body: &Value) -> Result<Response, Failure> {
        let response = self.send(body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = retry_after(&response);
        let code = error_code(response).await;
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            return Err(Failure {
                again: after.map_or(Again::Soon, Again::After),
                error: LanguageModelError::Busy {
                    status: status.as_u16(),
                    code,
                },
            });
        }
        Err(LanguageModelError::Refused {
            status: status.as_u16(),
            code,
        }
        .into())
    }

    /// Sends a request, and once more if its key has been replaced since it was fetched.
    async fn send(&self, body: &Value) -> Result<Response, Failure> {
        let request = self.client.post(&self.url).json(body);
        let Some(secret) = &self.key else {
            return sent(request).await;
        };
        let key = secret
            .value(&self.client)
            .await
            .map_err(LanguageModelError::from)?;
        let again = request.try_clone();
        let response = sent(request.bearer_auth(&key)).await?;
        let refused = response.status() == StatusCode::UNAUTHORIZED;
        let replaced = refused
            && secret
                .replaced(&self.client, &key)
                .await
                .map_err(LanguageModelError::from)?;
        match again {
            Some(again) if replaced => {
                let key = secret
                    .value(&self.client)
                    .await
                    .map_err(LanguageModelError::from)?;
                sent(again.bearer_auth(key)).await
            }
            _ => Ok(response),
        }
    }
}

impl From<LanguageModelError> for Failure {
    fn from(error: LanguageModelError) -> Self {
        Self {
            error,
            again: Again::No,
        }
    }
}

async fn sent(request: RequestBuilder) -> Result<Response, Failure> {
    request.send().await.map_err(|error| Failure {
        // A request that cannot even be written, with a key that is no header for example, stays so.
        again: if error.is_builder() {
            Again::No
        } else {
            Again::Soon
        },
        // The URL may hold a secret, and the log does not need it.
        error: LanguageModelError::Connection(chain(&error.without_url())),
    })
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = seconds.parse().ok()?;
    // Nobody waits for longer, and a time must not overflow.
    Some(Duration::from_secs(seconds.min(86_400)))
}

async fn error_code(mut response: Response) -> Option<String> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        body.extend_from_slice(&bytes);
        if body.len() > ERROR_BYTES {
            return None;
        }
    }
    let body: Value = serde_json::from_slice(&body).ok()?;
    chunk::code(&body["error"])
}
