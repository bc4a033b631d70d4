//! A chat request of `OpenAI`'s API: <https://platform.openai.com/docs/api-reference/chat/create>.

use filter::Filter;
use json::{FieldError, Object};
use retrieval::{Mode, Search};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::{Chat, ChatRequest};
use crate::{
    config::{CallerParameter, ChatConfig},
    conversation::Turn,
    fields::SourceFields,
    stops,
};

/// A request to `POST /v1/chat/completions`. The many other fields that clients send are ignored, because they do not
/// apply to an answer from sources.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct CompletionRequest {
    /// The service's model if absent.
    pub(crate) model: Option<String>,
    /// The conversation; it ends with the question.
    #[schemars(required, with = "Vec<Object<Turn>>", length(min = 1))]
    messages: Option<Vec<Object<Turn>>>,
    /// Whether to stream the answer; `false` if absent.
    stream: Option<bool>,
    /// Options of a stream.
    stream_options: Option<Object<StreamOptions>>,
    /// This and the token limits apply if callers may choose them.
    temperature: Option<f64>,
    #[serde(default, deserialize_with = "json::whole")]
    max_tokens: Option<i64>,
    #[serde(default, deserialize_with = "json::whole")]
    max_completion_tokens: Option<i64>,
    /// Sequences before which the answer ends.
    #[schemars(schema_with = "stops::schema")]
    stop: Option<Value>,
    /// The number of answers: 1.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = 1))]
    n: Option<i64>,
    /// Must not be `true`.
    logprobs: Option<bool>,
    /// Must be `["text"]` if given.
    modalities: Option<Vec<String>>,
    /// Must be of the type `text` if given.
    response_format: Option<Value>,
    /// Must not demand a tool.
    tool_choice: Option<Value>,
    /// From here on, as in `POST /chat`.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Chat::MAX_SOURCES))]
    limit: Option<i64>,
    #[schemars(range(min = 0, max = 2))]
    max_distance: Option<f64>,
    #[schemars(range(min = 0, max = 1))]
    min_relevance: Option<f64>,
    /// As in a search.
    #[schemars(with = "Option<Filter>")]
    filter: Option<Box<RawValue>>,
    /// As in a search.
    #[schemars(with = "Option<Mode>")]
    mode: Option<String>,
    /// As in a search.
    #[schemars(range(min = 0, max = 1))]
    semantic_weight: Option<f64>,
    /// As in `POST /chat`.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 1, max = Search::MAX_PASSAGES))]
    passages: Option<i64>,
    /// As in `POST /chat`.
    #[serde(default, deserialize_with = "json::whole")]
    #[schemars(range(min = 0, max = Search::MAX_EXPAND))]
    expand: Option<i64>,
    /// As in `POST /chat`.
    rerank: Option<bool>,
    #[schemars(length(max = SourceFields::MAX))]
    source_fields: Option<Vec<String>>,
    /// As in `POST /chat`.
    require_sources: Option<bool>,
}

/// Options of a stream.
#[derive(Debug, Default, Deserialize, JsonSchema)]
struct StreamOptions {
    /// Whether a last chunk has the token counts.
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
        let stop = stops::read(self.stop.as_ref())
            .map_err(|error| errors.push(error))
            .unwrap_or_default();
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
            stop,
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
