//! Why a language model gives no answer or stops, sorted by remedy.

use std::{error::Error, fmt, io, time::Duration};

use aws::secret::SecretError;
use telemetry::chain;

/// Why there is no answer, or no more of it. It holds no text of a conversation, and only a code from the endpoint.
#[derive(Debug, thiserror::Error)]
pub enum LanguageModelError {
    /// These variables are not set.
    #[error("no language model is configured: {} not set", .0.join(" and "))]
    NotConfigured(Vec<&'static str>),
    /// The endpoint refused the request.
    #[error("the language model's endpoint rejected the request: {0}")]
    Refused(Refusal),
    /// No request reaches the endpoint, or no response comes back.
    #[error("the language model's endpoint cannot be reached: {0}")]
    Unreachable(Unreachable),
    /// Nothing arrived this long.
    #[error("the language model sent nothing for {0:?}")]
    Silent(Duration),
    /// The function ran out of time before the answer ended.
    #[error("the language model did not finish within the function's timeout")]
    Unfinished,
    /// The connection was closed in the middle of the answer.
    #[error("the language model's answer was cut off: {0}")]
    Cut(String),
    /// The response is not one of such an endpoint.
    #[error("the language model's answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer ended without any text.
    #[error("the language model's answer is empty: {0}")]
    Empty(Empty),
    /// AWS keeps the key, and it cannot be fetched there.
    #[error("LLM_API_KEY: {0}")]
    Key(#[from] SecretError),
}

/// The endpoint's error response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The remedy.
    pub class: Class,
    /// The status; `None` for an error within a stream.
    pub status: Option<u16>,
    /// The code or type in the body, if any.
    pub code: Option<String>,
    /// When to retry.
    pub retry_after: Option<Duration>,
}

/// The remedy for a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another key, or more permissions.
    Key,
    /// Credit, or a higher spending limit.
    Quota,
    /// Another model: the endpoint does not know it.
    Model,
    /// Another base URL: this one has no chat completions.
    Address,
    /// A shorter prompt, or a model with a larger context.
    Context,
    /// A request without a parameter, or with another value.
    Parameter,
    /// Another question: the endpoint's filter refused it.
    Filter,
    /// Time: the endpoint is overloaded.
    Busy,
    /// Unknown.
    Other,
}

/// Why the endpoint's address does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// The point of failure.
    pub obstacle: Obstacle,
    /// The client's message.
    pub detail: String,
}

/// Where a connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The host's name has no address.
    Dns,
    /// Nothing listens at the port.
    Refused,
    /// The certificate is not trusted, or the port does not speak TLS.
    Tls,
    /// The connection timed out.
    Timeout,
    /// The request cannot be built: for example, the key is not a valid header.
    Request,
    /// Anything else, such as a connection closed before a response.
    Connection,
}

/// Why an answer is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The endpoint's filter removed it.
    Filtered,
    /// The model called a tool instead.
    ToolCall,
    /// Its tokens were used up before, for example by thoughts.
    Exhausted,
    /// The model sent no text.
    Silent,
}

impl LanguageModelError {
    /// The class of a refusal.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::Refused(refusal) => Some(refusal.class),
            _ => None,
        }
    }
}

impl Class {
    /// Whether another form of the request may help.
    pub(super) fn is_about_form(self) -> bool {
        matches!(self, Self::Parameter | Self::Other)
    }

    /// Whether the endpoint has read the request before it refused, and so accepts its form.
    pub(super) fn has_read_request(self) -> bool {
        matches!(self, Self::Context | Self::Filter | Self::Model)
    }
}

impl Unreachable {
    pub(super) fn by(error: reqwest::Error) -> Self {
        Self {
            obstacle: obstacle(&error),
            // The URL may hold a secret, and the log does not need it.
            detail: chain(&error.without_url()),
        }
    }
}

fn obstacle(error: &reqwest::Error) -> Obstacle {
    if error.is_builder() {
        return Obstacle::Request;
    }
    if error.is_timeout() {
        return Obstacle::Timeout;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // An I/O error hides its inner error from `source`.
            let inner = error.get_ref();
            if inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                return Obstacle::Tls;
            }
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return Obstacle::Refused;
            }
        }
        // The client's names for these errors, which have no type.
        match error.to_string().as_str() {
            "dns error" => return Obstacle::Dns,
            "tls handshake eof" => return Obstacle::Tls,
            _ => {}
        }
        cause = error.source();
    }
    Obstacle::Connection
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.class)?;
        if let Some(status) = self.status {
            write!(f, ", status {status}")?;
        }
        if let Some(code) = &self.code {
            write!(f, ", code {code}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.obstacle, self.detail)
    }
}

impl fmt::Display for Empty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Filtered => "the endpoint's content filter blocked it",
            Self::ToolCall => "the model called a tool",
            Self::Exhausted => "the token limit was reached before the first word",
            Self::Silent => "the model returned no text",
        })
    }
}
