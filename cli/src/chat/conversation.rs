//! A conversation over the API.

use std::io::{self, Write as _};

use anyhow::{Context as _, bail};
use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json, value::to_raw_value};

use crate::{
    chat_url::{self, elsewhere},
    filter::Fields,
    remote::{Api, ApiResponse, failure, told},
    search::excerpt,
    terminal::{self, Style},
};

/// Questions and answers so far.
pub(super) struct Conversation {
    api: Api,
    /// The chat's.
    url: String,
    /// The API's, while the chat may be elsewhere.
    base: Option<String>,
    /// The fields of each request besides its messages.
    options: Fields,
    messages: Vec<Value>,
    /// The sources of the last answer.
    sources: Value,
    /// The current question, and its answer so far.
    open: Option<(String, String)>,
}

impl Conversation {
    /// With the chat at an address, or else with that of the API at `base`.
    pub(super) fn new(api: Api, chat: Option<String>, base: &str, options: Fields) -> Self {
        Self {
            api,
            base: chat.is_none().then(|| base.to_owned()),
            url: chat.unwrap_or_else(|| format!("{base}/chat")),
            options,
            messages: Vec::new(),
            sources: Value::Null,
            open: None,
        }
    }

    /// Asks a question, streams the answer, then shows the cited sources. Returns what the answer lacks if it was cut,
    /// filtered or refused.
    pub(super) async fn ask(&mut self, question: &str) -> anyhow::Result<Option<String>> {
        self.open = Some((question.to_owned(), String::new()));
        let asked = json!({ "role": "user", "content": question });
        let mut request = self.options.clone();
        let messages: Vec<&Value> = self.messages.iter().chain([&asked]).collect();
        request.insert("messages", to_raw_value(&messages)?);
        let response = self.post(&request).await?;
        if !response.status().is_success() {
            return Err(ApiResponse::read(&self.api, response).await?.refusal());
        }
        let id = response.headers().get("x-request-id").cloned();
        let id = id
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default();
        let mut events = response.bytes_stream().eventsource();
        while let Some(event) = events.next().await {
            let event = event.context("the answer broke off")?;
            let mut data: Value = serde_json::from_str(&event.data)
                .with_context(|| format!("the event {} is not JSON", event.event))?;
            match event.event.as_str() {
                "sources" => self.sources = data["sources"].take(),
                "delta" => {
                    let text = data["text"].as_str().unwrap_or_default();
                    show(text)?;
                    if let Some((_, answer)) = &mut self.open {
                        answer.push_str(text);
                    }
                }
                "done" => {
                    show("\n")?;
                    self.show_cited(&data["cited"])?;
                    self.stopped();
                    return Ok(shortcoming(&data["finish_reason"]));
                }
                // `error` is the name of older versions.
                "failure" | "error" => {
                    if self
                        .open
                        .as_ref()
                        .is_some_and(|(_, answer)| !answer.is_empty())
                    {
                        show("\n")?;
                    }
                    let said = told(&data).unwrap_or_else(|| "the answer failed".to_owned());
                    return Err(failure(&said, id));
                }
                _ => {}
            }
        }
        bail!("the answer broke off")
    }

    /// Posts a request to the chat, which may have to be found first.
    async fn post(&mut self, request: &Fields) -> anyhow::Result<Response> {
        let response = self.post_to(&self.url, request).await?;
        if response.status() != StatusCode::NOT_FOUND {
            return Ok(response);
        }
        // It stays if Ctrl-C ends the search, or nothing is found: the next question looks again.
        let Some(base) = &self.base else {
            return Ok(response);
        };
        let found = Box::pin(elsewhere(&self.api, base)).await;
        self.url = found.context(chat_url::UNKNOWN)?;
        self.base = None;
        self.post_to(&self.url, request).await
    }

    async fn post_to(&self, url: &str, request: &Fields) -> anyhow::Result<Response> {
        let posted = self.api.request(Method::POST, url).json(request);
        let response = self.api.send(posted).await;
        response.with_context(|| format!("no server responds at {url}"))
    }

    /// Remembers the question and its answer so far, which is complete or cut.
    pub(super) fn stopped(&mut self) {
        let Some((question, answer)) = self.open.take() else {
            return;
        };
        self.messages
            .push(json!({ "role": "user", "content": question }));
        if !answer.trim().is_empty() {
            let sources = self.sources.as_array().into_iter().flatten();
            // These let a later question refer to a source by its number.
            let sources: Vec<Value> = sources
                .map(|source| {
                    json!({ "number": source["number"], "title": source["title"], "document_id": source["document_id"] })
                })
                .collect();
            let answered = json!({ "role": "assistant", "content": answer, "sources": sources });
            self.messages.push(answered);
        }
    }

    /// Starts a new conversation.
    pub(super) fn forget(&mut self) {
        self.messages.clear();
        self.sources = Value::Null;
    }

    /// Shows the sources of the last answer, with the beginnings of their passages.
    pub(super) fn show_sources(&self) -> io::Result<()> {
        let sources = self.sources.as_array().into_iter().flatten();
        for source in sources {
            show_source(source)?;
            let content = source["content"].as_str().unwrap_or_default();
            show(&format!("   {}\n", excerpt(content)))?;
        }
        if self.sources.as_array().is_none_or(Vec::is_empty) {
            show("no sources\n")?;
        }
        Ok(())
    }

    /// A line for each cited source.
    fn show_cited(&self, numbers: &Value) -> io::Result<()> {
        let numbers = numbers.as_array();
        let cited =
            |source: &&Value| numbers.is_some_and(|numbers| numbers.contains(&source["number"]));
        let sources = self.sources.as_array().into_iter().flatten();
        sources.filter(cited).try_for_each(show_source)
    }
}

/// Prints a piece of the answer at once, without adding a line break.
pub(super) fn show(text: &str) -> io::Result<()> {
    let mut out = terminal::out();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// What an answer with this finish reason lacks.
fn shortcoming(reason: &Value) -> Option<String> {
    let lack = match reason.as_str().unwrap_or("stop") {
        "stop" | "no_sources" => return None,
        "length" => {
            "the answer was cut off at the model's limit of tokens (LLM_PARAMETERS, max_tokens)"
        }
        "content_filter" => "the answer was cut off by a content filter",
        "refusal" => "the model refused to answer",
        other => return Some(format!("the answer ended early: {other}")),
    };
    Some(lack.to_owned())
}

/// A source's number, title, document and relevance.
fn show_source(source: &Value) -> io::Result<()> {
    let id = source["document_id"].as_str().unwrap_or_default();
    let title = source["title"].as_str().filter(|title| !title.is_empty());
    let line = format!(
        "[{}] {} ({id}, relevance {:.0} %)",
        source["number"],
        title.unwrap_or(id),
        source["relevance"].as_f64().unwrap_or_default() * 100.0
    );
    let mut out = terminal::out();
    out.styled(Style::Dim, &line)?;
    writeln!(out)
}
