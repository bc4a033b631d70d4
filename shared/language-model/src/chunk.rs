//! The chunks of a stream.
//!
//! Only the needed part of `chat.completion.chunk` is read; a field that is missing, `null` or of another type is no
//! error: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LanguageModelError, finish, refusal::EndpointError};

/// A piece of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// The text, possibly empty.
    pub text: String,
    /// The model's thoughts, which are not part of the answer; possibly empty.
    pub reasoning: String,
    /// Why the answer ends here: `stop`, `length`, `content_filter`, `refusal`, or another word of the endpoint. Some
    /// endpoints send one with each piece.
    pub finish_reason: Option<String>,
    /// The tokens of the whole exchange, if the endpoint counts them.
    pub usage: Option<Usage>,
}

/// The tokens of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of the answer.
    #[serde(default)]
    pub completion_tokens: u64,
}

/// One event of the endpoint.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub(super) delta: Delta,
    /// Whether its text is a refusal.
    pub(super) refusal: bool,
    /// Whether the model calls a tool.
    pub(super) tool_call: bool,
    /// Whether it is a whole answer, in place of a stream or after one.
    pub(super) whole: bool,
}

impl Chunk {
    /// Parses the data of one event; an unknown event, such as a ping, is an empty chunk.
    ///
    /// # Errors
    /// When it is truncated, or reports an error.
    pub(super) fn parse(data: &str) -> Result<Self, LanguageModelError> {
        let value: Value = match serde_json::from_str(data) {
            Ok(value) => value,
            // serde_json's message may quote the text, so only the position is reported.
            Err(error) if data.trim_start().starts_with('{') => {
                let bytes = data.len();
                let place = format!("a chunk of {bytes} bytes is invalid at {}", error.column());
                return Err(LanguageModelError::Unreadable(place));
            }
            Err(_) => Value::Null,
        };
        if is_error(&value) {
            let refusal = EndpointError::new(None, &value, None).refusal;
            return Err(LanguageModelError::Refused(refusal));
        }
        let usage = usage(&value["usage"]);
        let Some(choice) = choice(&value) else {
            return Ok(Self {
                delta: Delta {
                    usage,
                    ..Delta::default()
                },
                ..Self::default()
            });
        };
        let whole = choice["delta"].is_null() && choice["message"].is_object();
        let said = &choice[if whole { "message" } else { "delta" }];
        let refused = text(&said["refusal"]);
        Ok(Self {
            delta: Delta {
                text: answer(said, &choice["text"]) + &refused,
                reasoning: reasoning(said),
                finish_reason: choice["finish_reason"].as_str().and_then(finish::reason),
                usage,
            },
            refusal: !refused.is_empty(),
            tool_call: has_items(&said["tool_calls"]) || said["function_call"].is_object(),
            whole,
        })
    }
}

/// Whether the value, or a list's first item, reports an error.
fn is_error(value: &Value) -> bool {
    let value = value.get(0).unwrap_or(value);
    match &value["error"] {
        Value::Object(error) => !error.is_empty(),
        Value::String(error) => !error.is_empty(),
        _ => value["object"] == "error" && value["choices"].is_null(),
    }
}

/// The choice with the answer: index 0, in any order.
fn choice(value: &Value) -> Option<&Value> {
    let choices = value["choices"].as_array()?;
    choices.iter().find(|choice| {
        let index = &choice["index"];
        choice.is_object() && (index.is_null() || index.as_f64() == Some(0.0))
    })
}

/// The text of a message, or of an older endpoint's choice. Reasoning models send a list of parts.
fn answer(message: &Value, otherwise: &Value) -> String {
    match &message["content"] {
        Value::Array(parts) => {
            let told = parts.iter().filter(|part| !is_thought(part));
            told.map(|part| text(&part["text"])).collect()
        }
        Value::Null => text(otherwise),
        content => text(content),
    }
}

fn reasoning(message: &Value) -> String {
    let fields = ["reasoning_content", "reasoning", "thinking"];
    let mut beside = fields.into_iter().map(|field| text(&message[field]));
    let beside = beside.find(|thought| !thought.is_empty());
    beside.unwrap_or_else(|| {
        let parts = message["content"].as_array().into_iter().flatten();
        parts.filter(|part| is_thought(part)).map(thought).collect()
    })
}

fn is_thought(part: &Value) -> bool {
    matches!(
        part["type"].as_str(),
        Some("thinking" | "reasoning" | "redacted_thinking")
    )
}

/// The thought of a part: a text, or again a list of parts.
fn thought(part: &Value) -> String {
    let within = &part["thinking"];
    match within {
        Value::Array(parts) => parts.iter().map(|part| text(&part["text"])).collect(),
        Value::Null => text(&part["text"]),
        within => text(within),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn has_items(value: &Value) -> bool {
    value.as_array().is_some_and(|items| !items.is_empty())
}

/// Token counts; `None` if neither can be read. Some endpoints send fractions.
fn usage(value: &Value) -> Option<Usage> {
    let count = |field: &str| {
        let count = &value[field];
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "negative ones are left out, and no count of tokens is near 2^53"
        )]
        let rounded = || {
            count
                .as_f64()
                .filter(|count| *count >= 0.0)
                .map(|count| count as u64)
        };
        count.as_u64().or_else(rounded)
    };
    let (prompt, completion) = (count("prompt_tokens"), count("completion_tokens"));
    (prompt.is_some() || completion.is_some()).then(|| Usage {
        prompt_tokens: prompt.unwrap_or_default(),
        completion_tokens: completion.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chunk(chunk: &Value) -> Chunk {
        Chunk::parse(&chunk.to_string()).expect("it is a chunk")
    }

    fn delta(value: &Value) -> Delta {
        chunk(value).delta
    }

    #[test]
    fn chunks_of_different_endpoints_are_understood() {
        let text = json!({ "id": "x", "choices": [{ "index": 0, "delta": { "content": "Oui" }, "finish_reason": null }] });
        assert_eq!(delta(&text).text, "Oui");
        let role = json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] });
        assert_eq!(delta(&role), Delta::default());
        let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": null });
        assert_eq!(delta(&end).finish_reason.as_deref(), Some("stop"));
        let several = json!({ "choices": [{ "index": 1, "delta": { "content": "Non" } }, { "index": 0, "delta": { "content": "Oui" } }] });
        assert_eq!(delta(&several).text, "Oui");
        let another = json!({ "choices": [{ "index": 1, "delta": { "content": "Non" }, "finish_reason": "stop" }] });
        assert_eq!(delta(&another), Delta::default());
        let whole = json!({ "choices": [{ "message": { "role": "assistant", "content": "Oui" }, "finish_reason": "stop" }] });
        assert!(chunk(&whole).whole && delta(&whole).text == "Oui");
        let completion = json!({ "choices": [{ "text": "Oui" }] });
        assert_eq!(delta(&completion).text, "Oui");
        let refusal = json!({ "choices": [{ "delta": { "refusal": "I cannot." } }] });
        assert!(chunk(&refusal).refusal && delta(&refusal).text == "I cannot.");
        let tool = json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 0 }] } }] });
        assert!(chunk(&tool).tool_call);
    }

    #[test]
    fn thoughts_are_separated_from_the_answer() {
        for thinking in [
            json!({ "reasoning_content": "Hm" }),
            json!({ "reasoning": "Hm", "content": null }),
            json!({ "content": [{ "type": "thinking", "thinking": "Hm" }] }),
            json!({ "content": [{ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm" }] }] }),
        ] {
            let delta = delta(&json!({ "choices": [{ "delta": thinking }] }));
            assert_eq!(
                (delta.text.as_str(), delta.reasoning.as_str()),
                ("", "Hm"),
                "{thinking}"
            );
        }
        let parts = json!({ "choices": [{ "delta": { "content": [{ "type": "text", "text": "O" }, { "type": "text", "text": "ui" }] } }] });
        assert_eq!(delta(&parts).text, "Oui");
    }

    #[test]
    fn an_event_that_is_not_a_chunk_is_skipped() {
        for data in [
            "null",
            "ping",
            "[]",
            "{\"type\": \"ping\"}",
            "{\"choices\": null}",
            "{\"choices\": [7]}",
            "{\"error\": null}",
        ] {
            let chunk = Chunk::parse(data).expect("it is passed over");
            assert_eq!(chunk.delta, Delta::default(), "{data}");
        }
    }

    #[test]
    fn counts_are_read_as_far_as_they_are_counts() {
        let counted = |prompt: Value, completion: Value| {
            let usage = json!({ "prompt_tokens": prompt, "completion_tokens": completion });
            delta(&json!({ "choices": [], "usage": usage })).usage
        };
        let usage = |prompt_tokens, completion_tokens| {
            Some(Usage {
                prompt_tokens,
                completion_tokens,
            })
        };
        assert_eq!(counted(json!(7), json!(2)), usage(7, 2));
        assert_eq!(counted(json!(null), json!(12.0)), usage(0, 12));
        assert_eq!(counted(json!(-1), json!("2")), None);
    }

    #[test]
    fn an_error_is_reported_without_its_message() {
        let told = |data: &str| Chunk::parse(data).expect_err("it is an error").to_string();
        let error =
            json!({ "error": { "message": "the key sk-123 is wrong", "type": "server_error" } });
        let error = told(&error.to_string());
        assert!(
            error.contains("server_error") && !error.contains("sk-123"),
            "{error}"
        );
        let broken = told("{\"choices\": secret");
        assert!(!broken.contains("secret"), "{broken}");
    }
}
