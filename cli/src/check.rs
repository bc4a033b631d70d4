//! `rappel check --api URL`: one document through all routes of an API, as a user would send it, and out again.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use clap::Args;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    chat_url,
    remote::{Api, ApiResponse, Key, address},
    stop::Stop,
    terminal::{self, Out, Style, note},
};

/// Try an API after a deploy: one document in, found, chatted about, and removed.
#[derive(Args)]
pub(crate) struct Check {
    /// The API, such as the output `ApiUrl` of a stack.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: String,
    /// Where the chat is, if neither the API serves /chat nor its console names it: the output `ChatUrl` of a stack.
    #[arg(long, value_name = "URL")]
    chat_url: Option<String>,
    #[command(flatten)]
    key: Key,
}

/// The document that is stored, under an id that no other has.
struct Probe {
    api: Api,
    url: String,
    id: String,
    out: Out,
    /// Unless the API refused the document, or was not asked yet.
    may_be_stored: bool,
}

/// How long storing or removing the document may take: longer than a gateway waits for a function.
const PATIENCE: Duration = Duration::from_mins(1);

const CONTENT: &str = "The lighthouse keeper of Rappel winds the clock every evening at nine.";
const QUESTION: &str = "When does the lighthouse keeper wind the clock?";

impl Check {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        let url = address(&self.api);
        let chat = self.chat_url.as_deref().map(address);
        let mut probe = Probe {
            api: self.key.api()?,
            id: format!("rappel-check-{:016x}", fastrand::u64(..)),
            out: terminal::out(),
            may_be_stored: false,
            url,
        };
        // A signal does not end this request: the document would be stored after its removal.
        let stored = timeout(PATIENCE, probe.store()).await;
        let stored = stored.unwrap_or_else(|_| Err(anyhow!("storing a document: no answer")));
        let checked = match stored {
            Ok(()) => stop.or(Box::pin(probe.ask(chat.as_deref()))).await,
            Err(error) => Err(error),
        };
        if !probe.may_be_stored {
            return checked;
        }
        // Whatever happened; it may have been stored without an answer.
        let removed = timeout(PATIENCE, probe.remove()).await;
        let removed = removed.unwrap_or_else(|_| Err(anyhow!("no answer")));
        let left = format!("removing the document {}, which may be left", probe.id);
        match (checked, removed.context(left)) {
            (Err(error), Err(left)) => {
                note(&format!("warning: {left:#}"));
                Err(error)
            }
            (checked, removed) => checked.and(removed),
        }
    }
}

impl Probe {
    async fn store(&mut self) -> anyhow::Result<()> {
        let document = json!({ "title": "Check", "content": CONTENT, "metadata": { "rappel_check": self.id } });
        let begun = Instant::now();
        let url = format!("{}/documents/{}", self.url, self.id);
        self.may_be_stored = true;
        let stored = self.send(Method::PUT, &url, &document).await?;
        self.may_be_stored = !stored.status.is_client_error();
        let stored = stored.success().context("storing a document")?;
        self.report("stored", begun, &format!("{} passage", stored["chunks"]))
    }

    async fn ask(&mut self, chat: Option<&str>) -> anyhow::Result<()> {
        let filter = json!({ "rappel_check": self.id });
        let begun = Instant::now();
        let search = json!({ "query": QUESTION, "limit": 1, "filter": filter });
        let url = format!("{}/search", self.url);
        let found = self.send(Method::POST, &url, &search).await;
        let found = found?.success().context("searching for it")?;
        let hit = &found["hits"][0];
        ensure!(
            hit["document_id"] == self.id,
            "the document was stored, and a search did not find it: {found}"
        );
        let relevance = format!(
            "relevance {:.2}",
            hit["relevance"].as_f64().unwrap_or_default()
        );
        self.report("found", begun, &relevance)?;

        let begun = Instant::now();
        let asked = json!({ "question": QUESTION, "stream": false, "filter": filter });
        let below = format!("{}/chat", self.url);
        let url = chat.unwrap_or(&below);
        let mut answer = self.send(Method::POST, url, &asked).await?;
        if answer.status == StatusCode::NOT_FOUND && chat.is_none() {
            let found = chat_url::elsewhere(&self.api, &self.url).await;
            let Some(elsewhere) = found else {
                return self.report("not chatted", begun, chat_url::UNKNOWN);
            };
            answer = self.send(Method::POST, &elsewhere, &asked).await?;
        }
        if answer.status == StatusCode::NOT_IMPLEMENTED {
            return self.report("not chatted", begun, "no language model is configured");
        }
        let answer = answer.success().context("chatting about it")?;
        let sources = answer["sources"].as_array().map_or(0, Vec::len);
        ensure!(sources > 0, "the chat did not find it: {answer}");
        let text = answer["answer"].as_str().unwrap_or_default();
        self.report("chatted", begun, &crate::search::excerpt(text))
    }

    async fn remove(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        let url = format!("{}/documents/{}", self.url, self.id);
        let removed = self.send(Method::DELETE, &url, &Value::Null).await?;
        if removed.status == StatusCode::NOT_FOUND {
            return Ok(());
        }
        removed.success()?;
        self.report("removed", begun, "")
    }

    async fn send(&self, method: Method, url: &str, body: &Value) -> anyhow::Result<ApiResponse> {
        let mut request = self.api.request(method, url);
        if !body.is_null() {
            request = request.json(body);
        }
        ApiResponse::of(&self.api, request, url).await
    }

    fn report(&mut self, done: &str, begun: Instant, more: &str) -> anyhow::Result<()> {
        let milliseconds = telemetry::ms(begun.elapsed());
        self.out.styled(Style::Bold, &format!("{done:<11}"))?;
        writeln!(self.out, " {milliseconds:>8.1} ms  {more}")?;
        Ok(())
    }
}
