//! A chat request of `OpenAI`'s API: <https://platform.openai.com/docs/api-reference/chat/create>.

use json::{FieldError, Object};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::ChatRequest;
use crate::{
    config::{CallerParameter, ChatConfig},
    conversation::Turn,
};

/// A request to `POST /v1/chat/completions`. The many other fields that clients send are ignored, because they do not
/// apply to an answer from sources.
#[derive(Debug, Deserialize)]
pub(crate) struct CompletionRequest {
    /// The service's model if absent.
    pub(crate) model: Option<String>,
    messages: Option<Vec<Object<Turn>>>,
    stream: Option<bool>,
    stream_options: Option<Object<StreamOptions>>,
    /// This and the token limits apply if callers may choose them.
    temperature: Option<f64>,
    #[serde(default, deserialize_with = "json::whole")]
    max_tokens: Option<i64>,
    #[serde(default, deserialize_with = "json::whole")]
    max_completion_tokens: Option<i64>,
    /// The number of answers.
    #[serde(default, deserialize_with = "json::whole")]
    n: Option<i64>,
    logprobs: Option<bool>,
    modalities: Option<Vec<String>>,
    response_format: Option<Value>,
    tool_choice: Option<Value>,
    /// From here on, as in `POST /chat`.
    #[serde(default, deserialize_with = "json::whole")]
    limit: Option<i64>,
    max_distance: Option<f64>,
    min_relevance: Option<f64>,
    filter: Option<Box<RawValue>>,
    mode: Option<String>,
    semantic_weight: Option<f64>,
    #[serde(default, deserialize_with = "json::whole")]
    passages: Option<i64>,
    #[serde(default, deserialize_with = "json::whole")]
    expand: Option<i64>,
    rerank: Option<bool>,
    source_fields: Option<Vec<String>>,
    require_sources: Option<bool>,
}

/// Options of a stream.
#[derive(Debug, Default, Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

impl CompletionRequest {
    /// Whether a stream ends with the token counts.
    pub(crate) fn includes_usage(&self) -> bool {
        let options = self.stream_options.as_ref();
        options.is_some_and(|Object(options)| options.include_usage == Some(true))
    }

    /// Converts it to a request to `POST /chat`; `model` is another model of the endpoint, if not the service's.
    ///
    /// # Errors
    /// Names each field whose value an answer from sources does not support.
    pub(crate) fn into_chat(
        self,
        model: Option<String>,
        config: &ChatConfig,
    ) -> Result<ChatRequest, Vec<FieldError>> {
        let mut errors = self.unanswerable();
        if self.messages.is_none() {
            errors.push(FieldError::new("messages", "is missing"));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let max_tokens = self.max_completion_tokens.or(self.max_tokens);
        Ok(ChatRequest {
            messages: self.messages,
            limit: self.limit,
            max_distance: self.max_distance,
            min_relevance: self.min_relevance,
            filter: self.filter,
            mode: self.mode,
            semantic_weight: self.semantic_weight,
            passages: self.passages,
            expand: self.expand,
            rerank: self.rerank,
            source_fields: self.source_fields,
            stream: Some(self.stream.unwrap_or_default()),
            require_sources: self.require_sources,
            model,
            // Front ends send these with every request, so they are ignored if the service chooses.
            temperature: self
                .temperature
                .filter(|_| config.allows(CallerParameter::Temperature)),
            max_tokens: max_tokens.filter(|_| config.allows(CallerParameter::MaxTokens)),
            ..ChatRequest::default()
        })
    }

    /// Refuses fields that would be ignored without the reader's knowledge.
    fn unanswerable(&self) -> Vec<FieldError> {
        let named = |value: &Value| value["type"].as_str().unwrap_or_default().to_owned();
        let format = self.response_format.as_ref().map(named);
        let tool = self.tool_choice.as_ref();
        let refused = [
            (
                self.n.is_some_and(|n| n != 1),
                "n",
                "must be 1: only one answer is supported",
            ),
            (
                self.logprobs == Some(true),
                "logprobs",
                "must be false: log probabilities are not supported",
            ),
            (
                self.modalities
                    .as_ref()
                    .is_some_and(|kinds| kinds.iter().any(|kind| kind != "text")),
                "modalities",
                "must be [\"text\"]",
            ),
            (
                format.is_some_and(|format| format != "text"),
                "response_format",
                "must be {\"type\": \"text\"}: answers are text with citations",
            ),
            (
                tool.is_some_and(|choice| choice.is_object() || choice == "required"),
                "tool_choice",
                "must be \"none\" or \"auto\": tools are not supported",
            ),
        ];
        let refused = refused.into_iter().filter(|(is_refused, ..)| *is_refused);
        refused
            .map(|(_, field, detail)| FieldError::new(field, detail))
            .collect()
    }
}
