//! Differences between endpoints with `OpenAI`'s protocol, and how refusals reveal them.

use serde_json::Value;

use super::{
    error::Class,
    message::{Message, alternating},
    refusal::EndpointError,
};
use crate::Preset;

/// What an endpoint accepts. It starts from the preset; refusals correct it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent capability of an endpoint"
)]
pub(super) struct Dialect {
    /// Whether it knows `system`; if not, the rules start the user's first turn.
    pub(super) system_role: bool,
    /// Whether it streams.
    pub(super) streams: bool,
    /// Whether it accepts a request for the token count.
    pub(super) stream_options: bool,
    /// Whether the answer's limit is `max_completion_tokens` instead of `max_tokens`.
    pub(super) completion_tokens: bool,
    /// Whether it accepts a temperature.
    pub(super) temperature: bool,
    /// Whether its answers begin with thoughts that only an end tag marks: the template of the model opens them.
    pub(super) thinks_first: bool,
}

impl Dialect {
    /// The defaults for a kind of endpoint.
    pub(super) fn of(preset: Preset) -> Self {
        Self {
            system_role: true,
            streams: true,
            stream_options: preset.stream_options(),
            completion_tokens: preset.completion_tokens(),
            temperature: true,
            thinks_first: false,
        }
    }

    /// The messages as the endpoint accepts them: alternating turns.
    pub(super) fn messages(self, messages: &[Message]) -> Vec<Message> {
        alternating(messages, self.system_role)
    }

    /// The field for the answer's limit.
    pub(super) fn limit(self) -> &'static str {
        if self.completion_tokens {
            "max_completion_tokens"
        } else {
            "max_tokens"
        }
    }

    /// The dialect to try after a refusal of `body`; `None` if the form is not the cause.
    pub(super) fn after(self, said: &EndpointError, body: &Value) -> Option<Self> {
        let class = said.refusal.class;
        let status = said.refusal.status.unwrap_or_default();
        if !class.is_about_form() || !matches!(status, 400 | 422 | 500) {
            return None;
        }
        let sent = |field: &str| body.get(field).is_some();
        let asks_for_stream = self.streams && body["stream"].as_bool() == Some(true);
        let mut other = self;
        if asks_for_stream && said.mentions(&NO_STREAM) {
            other.streams = false;
        } else if self.stream_options
            && sent("stream_options")
            && said.mentions(&["stream_options"])
        {
            other.stream_options = false;
        } else if sent(self.limit()) && said.mentions(&["max_tokens", "max_completion_tokens"]) {
            other.completion_tokens = !self.completion_tokens;
        } else if self.temperature && sent("temperature") && said.mentions(&["temperature"]) {
            other.temperature = false;
        } else if self.system_role && said.mentions(&STRICT_TEMPLATE) {
            other.system_role = false;
        } else if class == Class::Other && status != 500 {
            other.stream_options = false;
            other.system_role = false;
        }
        (other != self).then_some(other)
    }
}

/// Errors of models that do not stream, or not for everybody: `OpenAI` wants to know the organization of the key.
const NO_STREAM: [&str; 6] = [
    "verified to stream",
    "does not support streaming",
    "doesn't support streaming",
    "streaming is not supported",
    "streaming not supported",
    "'stream' does not support",
];

/// Errors of templates without a role `system`, or that count it among the turns.
const STRICT_TEMPLATE: [&str; 8] = [
    "system role",
    "role system",
    "role 'system'",
    "system message",
    "does not support 'system'",
    "must alternate",
    "only user and assistant roles",
    "developer instruction is not enabled",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(dialect: Dialect, message: &str) -> Option<Dialect> {
        let error = json!({ "error": { "message": message } });
        let body =
            json!({ "stream": true, "stream_options": {}, "max_tokens": 1, "temperature": 1 });
        dialect.after(&EndpointError::new(Some(400), &error, None), &body)
    }

    #[test]
    fn a_refusal_that_names_an_unsupported_parameter_is_understood() {
        let usual = Dialect::of(Preset::Other);
        let without = |change: fn(&mut Dialect)| {
            let mut dialect = usual;
            change(&mut dialect);
            Some(dialect)
        };
        for (message, expected) in [
            (
                "stream_options: Extra inputs are not permitted",
                without(|it| it.stream_options = false),
            ),
            (
                "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
                without(|it| it.completion_tokens = true),
            ),
            (
                "Unsupported value: 'temperature' does not support 0",
                without(|it| it.temperature = false),
            ),
            (
                "Your organization must be verified to stream this model. Please go to: x",
                without(|it| it.streams = false),
            ),
            (
                "This model does not support streaming",
                without(|it| it.streams = false),
            ),
            (
                "System role not supported",
                without(|it| it.system_role = false),
            ),
            (
                "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                without(|it| it.system_role = false),
            ),
            (
                "Conversation roles must alternate user/assistant/user/...",
                without(|it| it.system_role = false),
            ),
            ("Unsupported parameter: 'top_k'", None),
            (
                "Bad request",
                without(|it| {
                    it.system_role = false;
                    it.stream_options = false;
                }),
            ),
        ] {
            assert_eq!(after(usual, message), expected, "{message}");
        }
    }

    #[test]
    fn streaming_is_given_up_only_where_it_was_asked_for() {
        let error = json!({ "error": { "message": "Your organization must be verified to stream this model.", "param": "stream", "code": "unsupported_value" } });
        let error = EndpointError::new(Some(400), &error, None);
        let usual = Dialect::of(Preset::OpenAi);
        let whole = Dialect {
            streams: false,
            ..usual
        };
        assert_eq!(usual.after(&error, &json!({ "stream": true })), Some(whole));
        assert_eq!(usual.after(&error, &json!({ "stream": false })), None);
        assert_eq!(whole.after(&error, &json!({ "stream": false })), None);
    }

    #[test]
    fn the_number_of_attempts_is_bounded() {
        let plainest = Dialect {
            system_role: false,
            stream_options: false,
            ..Dialect::of(Preset::Other)
        };
        assert_eq!(after(plainest, "Bad request"), None);
        assert_eq!(after(plainest, "System role not supported"), None);
    }
}
