//! The events of a chat, read by third-party clients.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    App, Clients,
    language_model::{LanguageModel, Reply, Step},
};

use crate::{
    Outcome,
    chat::{app_with, ingest},
};

/// What a client read.
struct Read {
    client: String,
    /// Names and data.
    events: Vec<(String, Value)>,
}

/// Texts that would end a line, an event or an answer if they were not escaped.
const TEXTS: [&str; 6] = [
    "À 22 heures\r\n\r\n",
    "data: {}\n\nevent: done\ndata: {}\n\n",
    "\u{feff}🏖\u{2028}\u{85}\u{b}",
    ": ",
    "[DONE]",
    " [1].",
];

/// What the clients of Python and of JavaScript read of the same answer.
async fn read(app: &App) -> Result<Vec<Read>> {
    let clients = Clients::installed().await?;
    let url = format!("{}/chat", app.url());
    let question = json!({ "question": "Quand ferme la plage ?", "limit": 1 }).to_string();
    let variables = [("REQUEST", question.as_str())];
    let python = include_str!("clients/events.py");
    let python = clients.python(python, &url, &variables).await?;
    let script = include_str!("clients/events.mjs");
    let javascript = clients.node(script, &url, &variables).await?;
    let lines = python.lines().chain(javascript.lines());
    let read: Vec<Read> = lines.map(Read::parse).collect::<Result<_>>()?;
    let names: Vec<&str> = read.iter().map(|read| read.client.as_str()).collect();
    assert_eq!(names, ["openai", "httpx_sse", "vercel", "browser"]);
    Ok(read)
}

impl Read {
    fn parse(line: &str) -> Result<Self> {
        let mut read: Value = serde_json::from_str(line)?;
        let client = read["client"].as_str().context("a client's name")?;
        let client = client.to_owned();
        let events = serde_json::from_value(read["events"].take())?;
        Ok(Self { client, events })
    }
}

/// An app whose model answers every client with these steps, and breaks long silences soon.
async fn app_saying(steps: &[Step]) -> Result<(App, LanguageModel)> {
    let replies = vec![Reply::Stream(steps.to_vec()); 4];
    let (app, model) = app_with(replies, &[("CHAT_HEARTBEAT_MS", "100")]).await?;
    ingest(&app).await?;
    Ok((app, model))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_reads_the_same_answer() -> Outcome {
    let texts = TEXTS.iter().copied().map(Step::Text);
    // While the model is silent, comments come.
    let steps: Vec<Step> = texts
        .chain([Step::Comment, Step::Text(" Fin."), Step::Finish("stop")])
        .collect();
    let (app, _model) = app_saying(&steps).await?;
    for Read { client, events } in read(&app).await? {
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        let (first, last) = (names.first(), names.last());
        assert_eq!((first, last), (Some(&"sources"), Some(&"done")), "{client}");
        let deltas = events.iter().filter(|(name, _)| name == "delta");
        let text: String = deltas
            .filter_map(|(_, data)| data["text"].as_str())
            .collect();
        assert_eq!(text, TEXTS.concat() + " Fin.", "{client}");
        assert_eq!(events[0].1["sources"][0]["number"], 1, "{client}");
        assert_eq!(events[events.len() - 1].1["cited"], json!([1]), "{client}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_client_tells_a_failed_answer_from_a_lost_connection() -> Outcome {
    let (app, _model) = app_saying(&[Step::Text("À 22"), Step::Cut]).await?;
    for Read { client, events } in read(&app).await? {
        let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
        // A browser hands `error` to those who listen for lost connections: by then it is closed.
        let expected: &[&str] = if client == "browser" {
            &["sources", "delta", "failure"]
        } else {
            &["sources", "delta", "failure", "error"]
        };
        assert_eq!(names, expected, "{client}");
        assert_eq!(
            events[2].1["type"], "urn:rappel:problem:language-model-cut",
            "{client}"
        );
    }
    Ok(())
}
