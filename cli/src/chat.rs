//! `rappel chat`: a conversation with the documents.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    thread,
};

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use local::gateway::Logs;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    api,
    setup::Target,
    terminal::{self, Style, note},
};

/// Talk with the documents: answers from them, with sources.
#[derive(Args)]
pub(crate) struct Chat {
    /// The question; without it, questions are read line by line and each remembers those before it.
    question: Option<String>,
    /// An API that is served already, such as `http://127.0.0.1:8000`; without it, one is started for as
    /// long as the conversation lasts.
    #[arg(long, env = "RAPPEL_API", value_name = "URL")]
    api: Option<String>,
    /// Sources wanted, 1 to 20.
    #[arg(long, short = 'n')]
    limit: Option<i64>,
    /// The least relevance of a source, 0 to 1; the API's own if not given.
    #[arg(long)]
    min_relevance: Option<f64>,
    /// The greatest cosine distance of a source, 0 to 2.
    #[arg(long)]
    max_distance: Option<f64>,
    /// Metadata that every source must contain, as a JSON object.
    #[arg(long)]
    filter: Option<String>,
    /// How sources are found: semantic, keyword or hybrid.
    #[arg(long)]
    mode: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// What became of a conversation.
struct Talk {
    /// Whether an answer failed, and the next question was asked all the same.
    failed: bool,
}

/// A conversation over an API.
struct Conversation {
    client: reqwest::Client,
    url: String,
    /// What each question has besides its messages.
    options: Value,
    messages: Vec<Value>,
}

impl Chat {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if let Some(api) = &self.api {
            return self.talk(api).await.map(drop);
        }
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let log = env::temp_dir().join(format!("rappel-chat-{}.log", std::process::id()));
        let gateway = api::serve(&setup, 0, Logs::File(log.clone()), None, Vec::new()).await?;
        let talked = self.talk(&gateway.url()).await;
        gateway.stop().await;
        setup.stop().await?;
        match talked {
            Ok(Talk { failed: false }) => {
                // Nobody misses it.
                let _ = std::fs::remove_file(log);
                Ok(())
            }
            Ok(Talk { failed: true }) => {
                note(&format!("the functions' log is {}", log.display()));
                Ok(())
            }
            Err(error) => Err(error.context(format!("the functions' log is {}", log.display()))),
        }
    }

    /// Talks until the questions end, or until Ctrl-C.
    async fn talk(&self, api: &str) -> anyhow::Result<Talk> {
        let interactive = self.question.is_none() && io::stdin().is_terminal();
        tokio::select! {
            talked = self.talk_on(api, interactive) => talked,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                ensure!(interactive, "interrupted");
                Ok(Talk { failed: false })
            }
        }
    }

    async fn talk_on(&self, api: &str, interactive: bool) -> anyhow::Result<Talk> {
        let mut conversation = Conversation {
            client: shared::client::builder().build()?,
            url: format!("{}/chat", api.trim_end_matches('/')),
            options: self.options()?,
            messages: Vec::new(),
        };
        let mut talk = Talk { failed: false };
        if let Some(question) = &self.question {
            conversation.ask(question).await?;
            return Ok(talk);
        }
        let mut lines = typed();
        loop {
            if interactive {
                show("\n> ")?;
            }
            let Some(line) = lines.recv().await.transpose()? else {
                return Ok(talk);
            };
            if line.trim().is_empty() {
                continue;
            }
            // A failed answer ends a script, but not a conversation.
            if let Err(error) = conversation.ask(&line).await {
                ensure!(interactive, error);
                talk.failed = true;
                note(&format!("error: {error:#}"));
            }
        }
    }

    fn options(&self) -> anyhow::Result<Value> {
        let mut options = json!({});
        if let Some(filter) = &self.filter {
            options["filter"] =
                serde_json::from_str(filter).context("--filter must be a JSON object")?;
        }
        for (name, value) in [
            ("limit", self.limit.map(Value::from)),
            ("min_relevance", self.min_relevance.map(Value::from)),
            ("max_distance", self.max_distance.map(Value::from)),
            ("mode", self.mode.clone().map(Value::from)),
        ] {
            if let Some(value) = value {
                options[name] = value;
            }
        }
        Ok(options)
    }
}

impl Conversation {
    /// Asks a question, shows the answer while it is made and its sources after it.
    async fn ask(&mut self, question: &str) -> anyhow::Result<()> {
        let asked = json!({ "role": "user", "content": question });
        let mut request = self.options.clone();
        request["messages"] = self.messages.iter().chain([&asked]).cloned().collect();
        let response = self.client.post(&self.url).json(&request).send().await;
        let response = response.context("the API does not answer")?;
        let id = response.headers().get("x-request-id").cloned();
        let id = id
            .as_ref()
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default();
        if !response.status().is_success() {
            let status = response.status();
            let problem: Value = response.json().await.unwrap_or_default();
            return Err(failure(&problem, &format!("the API answered {status}"), id));
        }
        let mut events = response.bytes_stream().eventsource();
        let (mut answer, mut sources) = (String::new(), Value::Null);
        while let Some(event) = events.next().await {
            let event = event.context("the answer broke off")?;
            let mut data: Value = serde_json::from_str(&event.data)
                .with_context(|| format!("the event {} is not JSON", event.event))?;
            match event.event.as_str() {
                "sources" => sources = data["sources"].take(),
                "delta" => {
                    let text = data["text"].as_str().unwrap_or_default();
                    show(text)?;
                    answer.push_str(text);
                }
                "done" => {
                    list(&sources)?;
                    let answered = json!({ "role": "assistant", "content": answer });
                    self.messages.extend([asked, answered]);
                    return Ok(());
                }
                "error" => {
                    show("\n")?;
                    return Err(failure(&data, "the answer failed", id));
                }
                _ => {}
            }
        }
        bail!("the answer broke off")
    }
}

/// The lines of stdin. The thread that reads them is left behind at the end of a conversation, since
/// nothing but a line ends its wait.
fn typed() -> mpsc::Receiver<io::Result<String>> {
    let (sender, lines) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines() {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// What a problem document says, with the id under which the log has more.
fn failure(problem: &Value, otherwise: &str, id: &str) -> anyhow::Error {
    match (problem["title"].as_str(), problem["detail"].as_str()) {
        (Some(title), Some(detail)) => anyhow::anyhow!("{title}: {detail} (request {id})"),
        _ => anyhow::anyhow!("{otherwise} (request {id})"),
    }
}

/// Prints a line for each source: its number, title, document and relevance.
fn list(sources: &Value) -> io::Result<()> {
    let mut out = terminal::out();
    writeln!(out)?;
    for source in sources.as_array().into_iter().flatten() {
        let id = source["document_id"].as_str().unwrap_or_default();
        let title = source["title"].as_str().filter(|title| !title.is_empty());
        let line = format!(
            "[{}] {} ({id}, relevance {:.0} %)",
            source["number"],
            title.unwrap_or(id),
            source["relevance"].as_f64().unwrap_or_default() * 100.0
        );
        out.styled(Style::Dim, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Prints a piece of the answer at once, without a line break of its own.
fn show(text: &str) -> io::Result<()> {
    let mut out = terminal::out();
    out.write_all(text.as_bytes())?;
    out.flush()
}
