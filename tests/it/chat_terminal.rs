//! `rappel chat` at an interactive terminal: a pseudo-terminal, made by `script` of util-linux.

use std::{fs, path::Path, process::Stdio, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tests::{
    Assets,
    language_model::{Reply, Step},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    Outcome,
    chat::{app_with, ingest, last_message},
};

/// No step of a conversation takes a tenth of it.
const HANG: Duration = Duration::from_mins(1);

struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: ChildStdout,
    /// What was shown and not looked for yet.
    shown: Vec<u8>,
}

/// The command `rappel chat` with this API.
async fn chat(api: &str) -> Result<String> {
    let rappel = Assets::prepared().await?.binaries.join("rappel");
    Ok(format!("{} chat --api {api}", rappel.display()))
}

impl Terminal {
    /// `rappel chat` at home in this folder; `more` is a redirection.
    async fn chat(api: &str, home: &Path, more: &str) -> Result<Self> {
        // `exec` replaces the shell, which Ctrl-C could end together with the command.
        Self::run(&format!("exec {} {more}", chat(api).await?), home)
    }

    /// This command of a shell, at home in this folder.
    fn run(command: &str, home: &Path) -> Result<Self> {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", command, "/dev/null"])
            .env("TERM", "xterm")
            .env("HOME", home)
            .current_dir(home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting script")?;
        Ok(Self {
            keys: child.stdin.take().context("stdin is piped")?,
            screen: child.stdout.take().context("stdout is piped")?,
            child,
            shown: Vec::new(),
        })
    }

    async fn press(&mut self, keys: &[u8]) -> Outcome {
        self.keys.write_all(keys).await?;
        Ok(())
    }

    /// Waits until it has ended, well.
    async fn ends(mut self) -> Outcome {
        let ended = timeout(HANG, self.child.wait()).await;
        let status = ended.context("it does not end")??;
        ensure!(status.success(), "{status}");
        Ok(())
    }

    /// Waits until the screen shows this.
    async fn shows(&mut self, text: &str) -> Outcome {
        let looking = async {
            loop {
                let found = self
                    .shown
                    .windows(text.len())
                    .position(|shown| shown == text.as_bytes());
                if let Some(at) = found {
                    self.shown.drain(..at + text.len());
                    return Ok(());
                }
                if self.screen.read_buf(&mut self.shown).await? == 0 {
                    bail!("the terminal was closed");
                }
            }
        };
        let shown = timeout(HANG, looking).await.context("a minute has passed");
        shown.and_then(|shown| shown).with_context(|| {
            format!(
                "waiting for {text:?} in {:?}",
                String::from_utf8_lossy(&self.shown)
            )
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_at_a_terminal_goes_on_whatever_happens() -> Outcome {
    let replies = [
        Reply::text(&["À 22 heures [1]."]),
        Reply::text(&["Quand ouvre la plage ?"]),
        Reply::Stream(vec![Step::Text("Attendez"), Step::Hang]),
        Reply::text(&["Où est la plage ?"]),
        Reply::Status(401, None, Value::Null),
        Reply::text(&["Ici."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let address = app.url().replace("http://", "");
    let home = tempfile::tempdir()?;
    let mut terminal = Terminal::chat(&address, home.path(), "").await?;

    // What is pasted is one question, however many lines it has.
    terminal.shows("> ").await?;
    terminal
        .press("\x1b[200~Quand ferme\nla plage ?\x1b[201~".as_bytes())
        .await?;
    terminal.press(b"\r").await?;
    terminal.shows("22 heures [1].").await?;
    terminal.shows("[1] Plage (plage, relevance ").await?;
    let asked = last_message(&model.asked()[0].body)?;
    assert!(asked.contains("Quand ferme\nla plage ?"), "{asked}");
    terminal.press(b"/sources\r").await?;
    terminal.shows("   La plage ferme").await?;

    // Ctrl-C stops an answer.
    terminal.press("Quand ouvre-t-elle ?\r".as_bytes()).await?;
    terminal.shows("Attendez").await?;
    terminal.press(b"\x03").await?;
    terminal.shows("stopped").await?;
    model.reader_left().await?;
    terminal.shows("> ").await?;
    terminal.press(b"\x03").await?;
    terminal.shows("/quit").await?;

    // A byte that is no text, and an answer that fails.
    terminal.press(b"\xff").await?;
    terminal.shows("UTF-8").await?;
    terminal.press("Où est-elle ?\r".as_bytes()).await?;
    terminal.shows("check LLM_API_KEY").await?;
    terminal.press(b"/new\r").await?;
    terminal.press("Où donc ?\r".as_bytes()).await?;
    terminal.shows("Ici.").await?;
    let asked = model.asked();
    assert_eq!(asked.len(), 6, "a new conversation has nothing to rewrite");
    let before = asked[3].body.to_string();
    assert!(
        before.contains("Attendez"),
        "a stopped answer was said: {before}"
    );

    terminal.press(b"/quit\r").await?;
    terminal.ends().await
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_can_be_edited_and_recalled_and_are_not_saved() -> Outcome {
    let replies = [
        Reply::text(&["À 22 heures [1]."]),
        Reply::text(&["Encore à 22 heures."]),
    ];
    let (app, model) = app_with(replies, &[("CHAT_CONDENSE", "false")]).await?;
    ingest(&app).await?;
    let home = tempfile::tempdir()?;
    let mut terminal = Terminal::chat(&app.url(), home.path(), "").await?;
    terminal.shows("> ").await?;
    // Twice to the left, and the letter that is missing.
    let keys = "Où est la plge\x1b[D\x1b[Da\r";
    terminal.press(keys.as_bytes()).await?;
    terminal.shows("[1] Plage").await?;
    terminal.shows("> ").await?;
    // Up to the line before, and its last word is replaced.
    let keys = "\x1b[A\x17plage en été\r";
    terminal.press(keys.as_bytes()).await?;
    terminal.shows("Encore à 22 heures.").await?;
    terminal.shows("> ").await?;
    terminal.press(b"\x04").await?;
    terminal.ends().await?;

    let asked = model.asked();
    for (asked, question) in asked
        .iter()
        .zip(["Où est la plage", "Où est la plage en été"])
    {
        let said = last_message(&asked.body)?;
        assert!(said.contains(question), "{said}");
    }
    let kept: Vec<_> = fs::read_dir(home.path())?.collect();
    assert!(kept.is_empty(), "{kept:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redirected_output_has_only_the_answers() -> Outcome {
    let (app, _model) = app_with([Reply::text(&["À 22 heures [1]."])], &[]).await?;
    ingest(&app).await?;
    let home = tempfile::tempdir()?;
    let file = home.path().join("answers");
    let more = format!("> {}", file.display());
    let mut terminal = Terminal::chat(&app.url(), home.path(), &more).await?;
    terminal.shows("> ").await?;
    terminal.press("Où est la plage ?\r".as_bytes()).await?;
    terminal.shows("> ").await?;
    terminal.press(b"\x04").await?;
    terminal.ends().await?;
    let answers = fs::read_to_string(file)?;
    assert!(answers.contains("À 22 heures [1].\n[1] Plage"), "{answers}");
    assert!(!answers.contains("Où est"), "{answers}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_chat_leaves_the_terminal_as_it_was() -> Outcome {
    let (app, _model) = app_with([], &[]).await?;
    let home = tempfile::tempdir()?;
    let chat = chat(&app.url()).await?;
    let command = format!("sh -c 'echo $$ > process; exec {chat}'; stty -a; true");
    let mut terminal = Terminal::run(&command, home.path())?;
    terminal.shows("> ").await?;
    let process = fs::read_to_string(home.path().join("process"))?;
    let killed = Command::new("kill").arg(process.trim()).status().await?;
    ensure!(killed.success(), "kill: {killed}");
    terminal.shows(" icanon").await?;
    terminal.shows(" echo ").await?;
    terminal.ends().await
}
