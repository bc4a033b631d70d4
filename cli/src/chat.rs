//! `rappel chat`: a conversation with the documents.

mod conversation;
mod input;

use std::{
    env,
    io::{self, IsTerminal as _},
};

use access::Mode;
use anyhow::bail;
use clap::Args;
use gateway::Logs;
use serde_json::Value;

use self::{
    conversation::{Conversation, show},
    input::{Input, Said},
};
use crate::{
    api,
    filter::{Fields, fields},
    remote::{Key, address},
    setup::Target,
    stop::Stop,
    terminal::note,
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
    /// Where the chat is, if neither the API serves /chat nor its console names it: the output `ChatUrl` of a stack.
    #[arg(long = "chat-url", value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    key: Key,
    /// Sources wanted, 1 to 20.
    #[arg(long, short = 'n')]
    limit: Option<i64>,
    /// The least relevance of a source, 0 to 1; the API's own if not given.
    #[arg(long)]
    min_relevance: Option<f64>,
    /// The greatest cosine distance of a source, 0 to 2.
    #[arg(long)]
    max_distance: Option<f64>,
    /// What every source must match: a filter in JSON, or a condition such as lang=fr or year>=2022. Given several
    /// times, all have to hold.
    #[arg(long, value_name = "CONDITION")]
    filter: Vec<String>,
    /// How sources are found: semantic, keyword or hybrid.
    #[arg(long)]
    mode: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// The outcome of a conversation.
struct Talk {
    /// Whether an answer failed and the conversation continued.
    failed: bool,
}

const COMMANDS: &str = "/sources lists the sources of the last answer, /new starts another conversation, \
/quit or Ctrl-D ends this one; Ctrl-C stops an answer";

impl Chat {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        // The chat alone is an API as well.
        if let Some(api) = self.api.as_ref().or(self.url.as_ref()) {
            return self.talk(&address(api), stop).await.map(drop);
        }
        let setup = self.target.prepare("").await?;
        setup.require_schema().await?;
        let log = env::temp_dir().join(format!("rappel-chat-{}.log", std::process::id()));
        let gateway = api::serve(
            &setup,
            0,
            Logs::File(log.clone()),
            None,
            Vec::new(),
            Mode::Open,
        )
        .await?;
        let talked = self.talk(&gateway.url(), stop).await;
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

    async fn talk(&self, api: &str, stop: &Stop) -> anyhow::Result<Talk> {
        let (key, chat) = (self.key.api()?, self.url.as_deref().map(address));
        let base = api.trim_end_matches('/');
        let mut conversation = Conversation::new(key, chat, base, self.options()?);
        if let Some(question) = &self.question {
            return answered(&mut conversation, question).await;
        }
        if io::stdin().is_terminal() {
            // It ends an answer, not the conversation.
            let _ctrl_c = stop.spare();
            return at_terminal(&mut conversation).await;
        }
        let mut lines = Input::piped();
        while let Some(line) = lines.next_line().await? {
            if !line.trim().is_empty() {
                // A failed answer ends a script.
                answered(&mut conversation, &line).await?;
            }
        }
        Ok(Talk { failed: false })
    }

    fn options(&self) -> anyhow::Result<Fields> {
        let others = [
            ("limit", self.limit.map(Value::from)),
            ("min_relevance", self.min_relevance.map(Value::from)),
            ("max_distance", self.max_distance.map(Value::from)),
            ("mode", self.mode.clone().map(Value::from)),
        ];
        let others = others
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        fields(&self.filter, others)
    }
}

/// Asks a question for a script: an incomplete answer is an error.
async fn answered(conversation: &mut Conversation, question: &str) -> anyhow::Result<Talk> {
    if let Some(shortcoming) = conversation.ask(question).await? {
        bail!(shortcoming);
    }
    Ok(Talk { failed: false })
}

/// Talks until the questions end. A failed answer ends the answer, not the conversation.
async fn at_terminal(conversation: &mut Conversation) -> anyhow::Result<Talk> {
    let mut input = Input::terminal()?;
    let mut talk = Talk { failed: false };
    loop {
        show("\n")?;
        match input.say().await? {
            Said::Nothing => {}
            Said::Unreadable => note("that was not UTF-8; please type it again"),
            Said::Interrupted => note(COMMANDS),
            Said::End => return Ok(talk),
            Said::Line(line) => match line.trim() {
                "/quit" | "/exit" => return Ok(talk),
                "/new" => conversation.forget(),
                "/sources" => conversation.show_sources()?,
                "/help" | "/?" => note(COMMANDS),
                question => talk.failed |= !ask(conversation, question).await?,
            },
        }
    }
}

/// Asks a question, until Ctrl-C stops the answer; returns whether it was answered.
async fn ask(conversation: &mut Conversation, question: &str) -> anyhow::Result<bool> {
    let outcome = tokio::select! {
        outcome = conversation.ask(question) => outcome,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            conversation.stopped();
            note("\nstopped");
            return Ok(true);
        }
    };
    match outcome {
        Ok(shortcoming) => {
            if let Some(shortcoming) = &shortcoming {
                note(shortcoming);
            }
            Ok(true)
        }
        Err(error) => {
            note(&format!("error: {error:#}"));
            Ok(false)
        }
    }
}
