//! The request to the endpoint, repeated while it is busy or requires another form.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws::secret::Secret;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{ACCEPT_ENCODING, HeaderMap, RETRY_AFTER},
};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    LanguageModelError,
    attempts::{Again, Attempts, Failure, telling},
    dialect::Dialect,
    error::{Obstacle, Unreachable},
    message::Message,
    refusal::EndpointError,
};
use crate::{Class, LanguageModelConfig};

/// A request to a model, where it differs from the settings.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// The conversation.
    pub messages: Vec<Message>,
    /// Another model of the same endpoint.
    pub model: Option<String>,
    /// The token limit of the answer, thoughts included.
    pub max_tokens: Option<u32>,
    /// 0 for the likeliest words, 1 or more for varied ones.
    pub temperature: Option<f64>,
    /// Whether the answer is wanted as a whole: text that may turn out to be thoughts is held back until its end.
    pub whole: bool,
}

/// Timeout for connecting to the endpoint.
const CONNECT: Duration = Duration::from_secs(5);
/// Maximum bytes read of an error's body.
const ERROR_BYTES: usize = 64 * 1024;
/// Timeout for an error's body.
const ERROR_TIME: Duration = Duration::from_secs(2);

/// The URL and the common parts of all requests.
pub(super) struct Endpoint {
    client: Client,
    url: String,
    model: String,
    key: Option<Secret>,
    key_header: Option<&'static str>,
    headers: HeaderMap,
    parameters: Map<String, Value>,
    /// The endpoint's dialect, as far as known.
    dialect: Mutex<Dialect>,
}

impl Endpoint {
    pub(super) fn new(config: &LanguageModelConfig) -> Result<Self, LanguageModelError> {
        let client = http_client::builder()
            .connect_timeout(CONNECT)
            // An idle connection would not survive a freeze, which shows only after a request was lost on it. A new one
            // takes a tenth of the time to the first token.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| LanguageModelError::Unreachable(Unreachable::by(error)))?;
        Ok(Self {
            client,
            url: config.url(),
            model: config.model.clone(),
            key: config.api_key.as_deref().map(Secret::parse).transpose()?,
            key_header: config.preset.key_header(),
            headers: config.headers.clone(),
            parameters: config.parameters.clone(),
            dialect: Mutex::new(Dialect::of(config.preset)),
        })
    }

    /// Retries until the endpoint starts to answer or refuses for good, unless the pause would exceed `until`. A
    /// refused form is replaced by another, which is remembered if it is accepted.
    pub(super) async fn open(
        &self,
        ask: &Ask,
        attempts: &mut Attempts,
        until: Instant,
    ) -> Result<Response, LanguageModelError> {
        let mut dialect = self.dialect();
        let mut tried = vec![dialect];
        let mut refused = None;
        loop {
            let body = self.body(ask, dialect);
            let failure = match self.attempt(&body).await {
                Ok(response) => {
                    self.accepts(dialect);
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let said = failure.said.as_ref();
            let other = said
                .and_then(|said| dialect.after(said, &body))
                .filter(|other| !tried.contains(other));
            if let Some(other) = other {
                tracing::warn!(cause = %failure.error, ?other, "retrying the language model with another form of request");
                dialect = other;
                tried.push(other);
                refused.get_or_insert(failure.error);
                continue;
            }
            let class = failure.error.class();
            if class.is_some_and(Class::has_read_request) {
                self.accepts(dialect);
            }
            attempts
                .pause(failure, until)
                .await
                .map_err(|error| telling(refused.take(), error))?;
        }
    }

    /// Retries after an error that came in place of an answer, with a status that promised one.
    pub(super) async fn open_again(
        &self,
        error: LanguageModelError,
        ask: &Ask,
        attempts: &mut Attempts,
        until: Instant,
    ) -> Result<Response, LanguageModelError> {
        let again = match &error {
            LanguageModelError::Refused(refusal) => Again::after(refusal),
            _ => Again::No,
        };
        let failure = Failure {
            error,
            again,
            said: None,
        };
        attempts.pause(failure, until).await?;
        self.open(ask, attempts, until).await
    }

    /// Whether answers begin with thoughts that only their end marks.
    pub(super) fn thinks_first(&self) -> bool {
        self.dialect().thinks_first
    }

    /// Remembers that an answer began with such thoughts.
    pub(super) fn remember_leading_thoughts(&self) {
        self.remember(|known| known.thinks_first = true);
    }

    fn dialect(&self) -> Dialect {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers the form of request that the endpoint accepts.
    fn accepts(&self, dialect: Dialect) {
        self.remember(|known| {
            *known = Dialect {
                thinks_first: known.thinks_first,
                ..dialect
            };
        });
    }

    fn remember(&self, change: impl FnOnce(&mut Dialect)) {
        change(&mut self.dialect.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The body of a request. The configured parameters override everything except this request's own options, and
    /// `null` always removes a field.
    fn body(&self, ask: &Ask, dialect: Dialect) -> Value {
        let mut body = json!({
            "model": self.model,
            "messages": dialect.messages(&ask.messages),
            "stream": true,
        });
        if dialect.streams && dialect.stream_options {
            body["stream_options"] = json!({ "include_usage": true });
        }
        for (name, value) in &self.parameters {
            body[name] = value.clone();
        }
        let mut put = |name: &str, value: Value| {
            if !self.parameters.get(name).is_some_and(Value::is_null) {
                body[name] = value;
            }
        };
        if !dialect.streams {
            put("stream", json!(false));
            put("stream_options", Value::Null);
        }
        if let Some(model) = &ask.model {
            put("model", json!(model));
        }
        if let Some(temperature) = ask.temperature.filter(|_| dialect.temperature) {
            put("temperature", json!(temperature));
        }
        if let Some(tokens) = ask.max_tokens {
            for other in ["max_tokens", "max_completion_tokens"] {
                put(other, Value::Null);
            }
            put(dialect.limit(), json!(tokens));
        }
        if let Some(fields) = body.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        body
    }

    async fn attempt(&self, body: &Value) -> Result<Response, Failure> {
        let response = self.send(body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let after = retry_after(&response);
        let said = EndpointError::new(Some(status.as_u16()), &error_body(response).await, after);
        Err(Failure {
            error: LanguageModelError::Refused(said.refusal.clone()),
            again: Again::after(&said.refusal),
            said: Some(said),
        })
    }

    /// Sends a request, and again if its key was replaced after it was fetched.
    async fn send(&self, body: &Value) -> Result<Response, Failure> {
        let request = self.client.post(&self.url).json(body);
        // A compressed stream would wait for the compressor. Some proxies compress anyway.
        let request = request.header(ACCEPT_ENCODING, "identity");
        let Some(secret) = &self.key else {
            return sent(request.headers(self.headers.clone())).await;
        };
        let key = secret
            .value(&self.client)
            .await
            .map_err(LanguageModelError::from)?;
        let again = request.try_clone();
        let response = sent(self.with_key(request, &key)).await?;
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
                sent(self.with_key(again, &key)).await
            }
            _ => Ok(response),
        }
    }

    fn with_key(&self, request: RequestBuilder, key: &str) -> RequestBuilder {
        let request = match self.key_header {
            Some(header) => request.header(header, key),
            None => request.bearer_auth(key),
        };
        // Configured headers replace those of the same name.
        request.headers(self.headers.clone())
    }
}

/// Keys and headers are secret and never printed.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

async fn sent(request: RequestBuilder) -> Result<Response, Failure> {
    request.send().await.map_err(|error| {
        let unreachable = Unreachable::by(error);
        let again = match unreachable.obstacle {
            Obstacle::Refused | Obstacle::Timeout | Obstacle::Connection => Again::Soon,
            // A retry does not help.
            Obstacle::Dns | Obstacle::Tls | Obstacle::Request => Again::No,
        };
        Failure {
            again,
            error: LanguageModelError::Unreachable(unreachable),
            said: None,
        }
    })
}

/// Seconds, or an HTTP date: <https://www.rfc-editor.org/rfc/rfc9110#field.retry-after>.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(seconds) = value.parse() {
        Duration::from_secs(seconds)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(SystemTime::now()).unwrap_or_default()
    };
    // A longer wait is useless, and a time must not overflow.
    Some(wait.min(Duration::from_hours(24)))
}

/// The body of an error if it can be read, in time and as JSON.
async fn error_body(mut response: Response) -> Value {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(bytes)) = response.chunk().await {
            body.extend_from_slice(&bytes);
            if body.len() > ERROR_BYTES {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(ERROR_TIME, read).await;
    serde_json::from_slice(&body).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&body)))
}
