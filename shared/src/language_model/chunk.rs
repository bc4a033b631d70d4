//! What the endpoint streams.
//!
//! Of `chat.completion.chunk` only what is needed is read, so that an endpoint which leaves out or adds
//! other fields is understood: <https://platform.openai.com/docs/api-reference/chat-streaming>.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::LanguageModelError;

/// A piece of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Its text, which may be empty: models that reason first say so in pieces without text.
    pub text: String,
    /// Why the answer ends here: `stop`, `length`, `content_filter`...
    pub finish_reason: Option<String>,
    /// The tokens of the whole exchange, if the endpoint counts them.
    pub usage: Option<Usage>,
}

/// The tokens that an exchange cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of what the model read.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of what it wrote.
    #[serde(default)]
    pub completion_tokens: u64,
}

#[derive(Deserialize)]
pub(super) struct Chunk {
    choices: Option<Vec<Choice>>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

impl Chunk {
    /// Reads the data of one event.
    ///
    /// # Errors
    /// When it is not a chunk, or the endpoint reports an error in it.
    pub(super) fn parse(data: &str) -> Result<Self, LanguageModelError> {
        // serde_json's message may quote the text; only where it is wrong is told.
        let chunk: Self = serde_json::from_str(data).map_err(|error| {
            let place = format!(
                "a chunk of {} bytes is wrong at {}",
                data.len(),
                error.column()
            );
            LanguageModelError::Unreadable(place)
        })?;
        match &chunk.error {
            None => Ok(chunk),
            Some(error) => {
                let code = code(error).unwrap_or_else(|| "without a code".to_owned());
                Err(LanguageModelError::Unreadable(format!(
                    "it reports an error, {code}"
                )))
            }
        }
    }

    pub(super) fn into_delta(self) -> Delta {
        let choice = self.choices.into_iter().flatten().next();
        let (content, finish_reason) = choice.map_or((None, None), |choice| {
            (
                choice.delta.and_then(|delta| delta.content),
                choice.finish_reason,
            )
        });
        Delta {
            text: content.unwrap_or_default(),
            // Some endpoints say of each piece that there is no reason, in an empty text.
            finish_reason: finish_reason.filter(|reason| !reason.is_empty()),
            usage: self.usage,
        }
    }
}

/// The code or type of an error in the usual form. Its message is left alone: it may quote the
/// conversation or the key.
pub(super) fn code(error: &Value) -> Option<String> {
    let word = |field: &str| {
        let word = error[field].as_str()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        (word.len() <= 64 && word.chars().all(plain)).then(|| word.to_owned())
    };
    word("code").or_else(|| word("type"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn delta(chunk: &Value) -> Delta {
        Chunk::parse(&chunk.to_string())
            .expect("it is a chunk")
            .into_delta()
    }

    #[test]
    fn chunks_of_different_endpoints_are_understood() {
        let text = json!({ "id": "x", "choices": [{ "index": 0, "delta": { "content": "Oui" }, "finish_reason": null }] });
        assert_eq!(delta(&text).text, "Oui");
        let role = json!({ "choices": [{ "delta": { "role": "assistant", "content": null } }] });
        assert_eq!(delta(&role), Delta::default());
        let reasoning = json!({ "choices": [{ "delta": { "reasoning_content": "Hm" } }] });
        assert_eq!(delta(&reasoning), Delta::default());
        let end = json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": null });
        assert_eq!(delta(&end).finish_reason.as_deref(), Some("stop"));
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9 } });
        let expected = Usage {
            prompt_tokens: 7,
            completion_tokens: 2,
        };
        assert_eq!(delta(&usage).usage, Some(expected));
    }

    #[test]
    fn an_error_in_the_stream_is_told_without_its_words() {
        let error =
            json!({ "error": { "message": "the key sk-123 is wrong", "type": "server_error" } });
        let told = Chunk::parse(&error.to_string())
            .err()
            .expect("it is an error")
            .to_string();
        assert!(
            told.contains("server_error") && !told.contains("sk-123"),
            "{told}"
        );
        let told = Chunk::parse("{\"choices\": secret")
            .err()
            .expect("it is no JSON")
            .to_string();
        assert!(!told.contains("secret"), "{told}");
    }
}
