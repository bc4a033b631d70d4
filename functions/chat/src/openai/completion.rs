//! `POST /v1/chat/completions`: the answer of a chat, in one piece or in chunks.
//! <https://platform.openai.com/docs/api-reference/chat/streaming>

use document_store::{Visibility, address};
use futures_util::Stream;
use language_model::Usage;
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

/// A source of citations.
#[derive(Deserialize)]
struct Cited {
    #[serde(default)]
    title: String,
    document_id: String,
    metadata: Box<RawValue>,
}

/// A citation of a page in the answer.
#[derive(Serialize)]
struct Annotation {
    r#type: &'static str,
    url_citation: UrlCitation,
}

/// Its range of characters, end excluded, and the page.
#[derive(Serialize)]
struct UrlCitation {
    start_index: usize,
    end_index: usize,
    url: String,
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
    let chat = chat.parse(&state.config, Visibility::default())?;
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
    async fn whole(mut self, answer: Answer) -> Result<Value, Error> {
        let whole = answer.whole().await?;
        self.found(&whole.sources)?;
        let message = json!({
            "role": "assistant",
            "content": whole.answer,
            "refusal": null,
            "annotations": self.annotations(&whole.done),
        });
        let choice = json!({
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&whole.done),
        });
        let mut completion = self.body("chat.completion", &[choice]);
        completion["query"] = whole.query.into();
        completion["sources"] = parsed(&whole.sources)?;
        if let Some(usage) = usage(&whole.done) {
            completion["usage"] = usage;
        }
        Ok(completion)
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
            chunk["usage"] = usage(done).unwrap_or_default();
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

/// `OpenAI`'s finish reason.
fn finish_reason(done: &Done) -> &'static str {
    match done.finish_reason.as_str() {
        "length" | "max_tokens" => "length",
        "content_filter" | "refusal" => "content_filter",
        _ => "stop",
    }
}

/// The usage of an answer: zero if the model was not asked, unknown if it does not count.
fn usage(done: &Done) -> Option<Value> {
    let spent = match done.usage {
        None if done.finish_reason == "no_sources" => Usage::default(),
        spent => spent?,
    };
    Some(json!({
        "prompt_tokens": spent.prompt_tokens,
        "completion_tokens": spent.completion_tokens,
        "total_tokens": spent.prompt_tokens + spent.completion_tokens,
    }))
}
