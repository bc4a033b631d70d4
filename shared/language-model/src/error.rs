//! Why there is no answer of a language model, or no more of it, by what would mend it.

use std::{error::Error, fmt, io, time::Duration};

use aws::secret::SecretError;
use telemetry::chain;

/// Why there is no answer, or no more of it. No text of a conversation and no word of the endpoint but a
/// code is in it.
#[derive(Debug, thiserror::Error)]
pub enum LanguageModelError {
    /// These variables are not set.
    #[error("there is no language model: {} not set", .0.join(" and "))]
    NotConfigured(Vec<&'static str>),
    /// The endpoint refused the request.
    #[error("the language model's endpoint refused: {0}")]
    Refused(Refusal),
    /// No request gets through to the endpoint, or no response back.
    #[error("the language model's endpoint cannot be reached: {0}")]
    Unreachable(Unreachable),
    /// Nothing came for so long.
    #[error("the language model was silent for {0:?}")]
    Silent(Duration),
    /// The function's time was over before the answer was.
    #[error("the language model had not finished when the function's time was over")]
    Unfinished,
    /// The connection was closed in the middle of the answer.
    #[error("the language model's answer was cut off: {0}")]
    Cut(String),
    /// What came is no answer of such an endpoint.
    #[error("the language model's answer cannot be read: {0}")]
    Unreadable(String),
    /// The answer ended without a word.
    #[error("the language model's answer is empty: {0}")]
    Empty(Empty),
    /// The key is kept by AWS and cannot be fetched there.
    #[error("LLM_API_KEY: {0}")]
    Key(#[from] SecretError),
}

/// What the endpoint said instead of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What would mend it.
    pub class: Class,
    /// The status; `None` if it was said within a stream.
    pub status: Option<u16>,
    /// The code or type in its body, if there is one.
    pub code: Option<String>,
    /// When it wants to be asked again.
    pub retry_after: Option<Duration>,
}

/// What would mend a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another key, or other rights of it.
    Key,
    /// Money, or a higher limit of what may be spent.
    Quota,
    /// Another model: the endpoint does not know it.
    Model,
    /// Another base URL: there are no chat completions at this one.
    Address,
    /// A shorter prompt, or a model with a larger context.
    Context,
    /// A request without a parameter, or with another value of it.
    Parameter,
    /// Another question: a filter of the endpoint's refused it.
    Filter,
    /// Time: the endpoint has too much to do.
    Busy,
    /// Unknown.
    Other,
}

/// Why nobody answers at the endpoint's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// Where the way ends.
    pub obstacle: Obstacle,
    /// What the client said of it.
    pub detail: String,
}

/// Where the way to an endpoint ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The host's name has no address.
    Dns,
    /// Nobody listens at the port.
    Refused,
    /// The certificate is not trusted, or the port does not speak TLS.
    Tls,
    /// No connection was made within the time for it.
    Timeout,
    /// The request cannot be written: a key that is no header, for example.
    Request,
    /// Anything else, such as a connection that is closed instead of an answer.
    Connection,
}

/// Why an answer has no word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// The endpoint's filter took it.
    Filtered,
    /// The model called a tool instead.
    ToolCall,
    /// Its tokens were used up before, by thoughts for example.
    Exhausted,
    /// The model had nothing to say.
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
            // An I/O error hides the one it was made of from `source`.
            let inner = error.get_ref();
            if inner.is_some_and(<dyn Error + Send + Sync>::is::<rustls::Error>) {
                return Obstacle::Tls;
            }
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return Obstacle::Refused;
            }
        }
        // The client's own names for these; they have no type.
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
            Self::Filtered => "the endpoint's content filter took it",
            Self::ToolCall => "the model called a tool",
            Self::Exhausted => "its tokens were used up before the first word",
            Self::Silent => "the model said nothing",
        })
    }
}
