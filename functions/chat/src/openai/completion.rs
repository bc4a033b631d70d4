//! `POST /v1/chat/completions`: the answer of a chat, in one piece or in chunks.
//! <https://platform.openai.com/docs/api-reference/chat/streaming>

use document_store::address;
use futures_util::Stream;
use language_model::Usage;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use shared::{
    Error,
    http::{self, Request, StreamedResponse},
};

use super::{CHAT, chunk::event, models, now, refusal::Refusal};
use crate::{
    answer::{Answer, AnswerEvent},
    config::CallerParameter,
    done::Done,
    event::{HEARTBEAT, written_by},
    request::CompletionRequest,
    sources::ChatSource,
    state::ChatState,
};

/// The common fields of an answer's chunks.
struct Completion {
    id: String,
    created: u64,
    /// The caller's name of the model.
    model: String,
    includes_usage: bool,
    /// The sources of citations.
    sources: Vec<Cited>,
}

/// The answer in one piece.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ChatCompletion {
    /// Its id.
    id: String,
    /// `chat.completion`.
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    /// The model, as the caller named it.
    model: String,
    /// One answer.
    choices: [Choice; 1],
    /// The question that was searched for.
    query: String,
    /// The passages, numbered as the answer cites them.
    #[schemars(with = "Vec<ChatSource>")]
    sources: Box<RawValue>,
    /// The tokens; absent if the model does not count them.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<TokenCounts>,
}

/// An answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CompletionChoice")]
struct Choice {
    /// 0.
    index: usize,
    /// The answer's message.
    message: Message,
    /// `null`.
    logprobs: Option<bool>,
    /// `stop`, `length` or `content_filter`.
    finish_reason: &'static str,
}

/// The message of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CompletionMessage")]
struct Message {
    /// `assistant`.
    role: &'static str,
    /// The text, with citations such as `[1]`.
    content: String,
    /// `null`.
    refusal: Option<String>,
    /// The citations of sources with a web address.
    annotations: Vec<Annotation>,
}

/// The tokens of an answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "CompletionUsage")]
#[expect(clippy::struct_field_names, reason = "OpenAI's names")]
struct TokenCounts {
    /// That the model read.
    prompt_tokens: u64,
    /// That it wrote.
    completion_tokens: u64,
    /// The sum.
    total_tokens: u64,
}

/// A source of citations.
#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    title: String,
    document_id: String,
    metadata: Box<RawValue>,
}

/// A citation of a page in the answer.
#[derive(Debug, Serialize, JsonSchema)]
struct Annotation {
    /// `url_citation`.
    r#type: &'static str,
    /// The place and the page.
    url_citation: UrlCitation,
}

/// Its range of characters, end excluded, and the page.
#[derive(Debug, Serialize, JsonSchema)]
struct UrlCitation {
    /// The first character.
    start_index: usize,
    /// The character after the last.
    end_index: usize,
    /// The page's address.
    url: String,
    /// The document's title, or its id.
    title: String,
}

/// Answers a request.
///
/// # Errors
/// All errors before the first byte.
pub(super) async fn answer(
    state: ChatState,
    request: &Request,
) -> Result<StreamedResponse, Refusal> {
    state.language_model()?;
    let asked: CompletionRequest = http::json(request)?;
    let name = asked.model.clone().filter(|name| !name.is_empty());
    let other = name.clone().filter(|name| name != CHAT);
    if let Some(other) = &other
        && !state.config.allows(CallerParameter::Model)
    {
        return Err(Refusal::model(other, &models::names(&state)[..1]));
    }
    let completion = Completion {
        id: format!("chatcmpl-{}", telemetry::request_id().unwrap_or_default()),
        created: now(),
        model: name.unwrap_or_else(|| CHAT.to_owned()),
        includes_usage: asked.includes_usage(),
        sources: Vec::new(),
    };
    let chat = asked
        .into_chat(other, &state.config)
        .map_err(Error::Invalid)?;
    let visibility = http::caller(request)?.visibility.clone();
    let chat = chat.parse(&state.config, visibility)?;
    let streamed = chat.stream;
    let answer = Box::pin(Answer::prepare(state, chat, http::deadline(request))).await?;
    if streamed {
        Ok(http::events(completion.chunks(answer)))
    } else {
        let whole = Box::pin(completion.whole(answer)).await?;
        Ok(http::whole(http::ok(&whole)?))
    }
}

impl Completion {
    /// The answer in one piece.
    async fn whole(mut self, answer: Answer) -> Result<ChatCompletion, Error> {
        let whole = answer.whole().await?;
        self.found(&whole.sources)?;
        let choice = Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: whole.answer,
                refusal: None,
                annotations: self.annotations(&whole.done),
            },
            logprobs: None,
            finish_reason: finish_reason(&whole.done),
        };
        Ok(ChatCompletion {
            id: self.id,
            object: "chat.completion",
            created: self.created,
            model: self.model,
            choices: [choice],
            query: whole.query,
            sources: whole.sources,
            usage: usage(&whole.done),
        })
    }

    /// The chunks of the answer as server-sent events, made on demand.
    fn chunks(mut self, answer: Answer) -> impl Stream<Item = String> + Send + 'static {
        written_by(answer, move |part| {
            let written = part.and_then(|part| self.written(part));
            written.unwrap_or_else(|error| Refusal::from(error).to_event())
        })
    }

    fn written(&mut self, part: AnswerEvent) -> Result<String, Error> {
        Ok(match part {
            // There is no event for these; a comment keeps the stream alive.
            AnswerEvent::Retrieval | AnswerEvent::Reasoning(_) => HEARTBEAT.to_owned(),
            AnswerEvent::Sources(query, sources) => {
                self.found(&sources)?;
                let delta = json!({ "role": "assistant", "content": "" });
                let mut chunk = self.chunk(&delta, None);
                chunk["query"] = query.into();
                chunk["sources"] = parsed(&sources)?;
                event(&chunk)
            }
            AnswerEvent::Delta(text) => event(&self.chunk(&json!({ "content": text }), None)),
            AnswerEvent::Done(done) => self.last(&done),
        })
    }

    /// The end: the citations, the finish reason, and the usage.
    fn last(&self, done: &Done) -> String {
        let annotations = self.annotations(done);
        let delta = if annotations.is_empty() {
            json!({})
        } else {
            json!({ "annotations": annotations })
        };
        let mut events = event(&self.chunk(&delta, Some(finish_reason(done))));
        if self.includes_usage {
            let mut chunk = self.body("chat.completion.chunk", &[]);
            chunk["usage"] = json!(usage(done));
            events += &event(&chunk);
        }
        events + "data: [DONE]\n\n"
    }

    fn chunk(&self, delta: &Value, finish_reason: Option<&str>) -> Value {
        let choice = json!({
            "index": 0,
            "delta": delta,
            "logprobs": null,
            "finish_reason": finish_reason,
        });
        let mut chunk = self.body("chat.completion.chunk", &[choice]);
        if self.includes_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn body(&self, object: &str, choices: &[Value]) -> Value {
        json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn found(&mut self, sources: &RawValue) -> Result<(), Error> {
        let read = serde_json::from_str(sources.get());
        self.sources = read.map_err(|error| Error::internal(&error))?;
        Ok(())
    }

    /// The citations of sources with an address.
    fn annotations(&self, done: &Done) -> Vec<Annotation> {
        let annotation = |citation: &crate::citations::Citation| {
            let source = self.sources.get(citation.source?.checked_sub(1)?)?;
            let title = Some(&source.title).filter(|title| !title.is_empty());
            Some(Annotation {
                r#type: "url_citation",
                url_citation: UrlCitation {
                    start_index: citation.start,
                    end_index: citation.end,
                    url: address(source.metadata.get())?,
                    title: title.unwrap_or(&source.document_id).clone(),
                },
            })
        };
        done.citations.iter().filter_map(annotation).collect()
    }
}

fn parsed(json: &RawValue) -> Result<Value, Error> {
    serde_json::from_str(json.get()).map_err(|error| Error::internal(&error))
}

/// `OpenAI`'s finish reason. Of an answer that an endpoint gave up, `length` says that it is not whole: `DeepSeek`, Mistral and
/// vLLM have words of their own for that.
fn finish_reason(done: &Done) -> &'static str {
    match done.finish_reason.as_str() {
        "length" | "insufficient_system_resource" | "error" | "abort" => "length",
        "content_filter" | "refusal" => "content_filter",
        _ => "stop",
    }
}

/// The usage of an answer: zero if the model was not asked, unknown if it does not count.
fn usage(done: &Done) -> Option<TokenCounts> {
    let spent = match done.usage {
        None if done.finish_reason == "no_sources" => Usage::default(),
        spent => spent?,
    };
    Some(TokenCounts {
        prompt_tokens: spent.prompt_tokens,
        completion_tokens: spent.completion_tokens,
        total_tokens: spent.prompt_tokens + spent.completion_tokens,
    })
}
