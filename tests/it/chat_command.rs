//! `rappel chat`: a conversation at a terminal.

use std::process::Stdio;

use anyhow::Context;
use serde_json::json;
use tests::{
    Assets,
    command::{Printed, rappel},
    language_model::{LanguageModel, Reply, Step},
};
use tokio::io::AsyncWriteExt as _;

use crate::{
    Outcome,
    chat::{app_with, ingest},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_shows_its_sources_and_remembers_what_was_said() -> Outcome {
    let replies = [
        Reply::text(&["À 22 heures", " [1]."]),
        Reply::text(&["Quand ferme la plage en hiver ?"]),
        Reply::text(&["Rien n’est dit de l’hiver."]),
    ];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let mut child = rappel(None, &["chat", "--api", &app.url(), "--limit", "1"])
        .await?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin
        .write_all("Quand ferme la plage ?\n\nEt en hiver ?\n".as_bytes())
        .await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let stdout = String::from_utf8(output.stdout)?;
    assert!(
        output.status.success(),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<&str> = stdout.lines().collect();
    assert_eq!(lines.len(), 3, "what is not cited is not listed: {stdout}");
    assert_eq!(lines[0], "À 22 heures [1].");
    assert!(
        lines[1].starts_with("[1] Plage (plage, relevance "),
        "{stdout}"
    );
    assert_eq!(lines[2], "Rien n’est dit de l’hiver.");
    let condensing = model.asked()[1].body["messages"][1]["content"].to_string();
    assert!(
        condensing.contains("À 22 heures (source: “Plage”)."),
        "{condensing}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_question_needs_no_running_api() -> Outcome {
    let broken = Reply::Stream(vec![Step::Text("À 22"), Step::Cut]);
    let (app, model) = app_with([Reply::text(&["À 22 heures [1]."]), broken], &[]).await?;
    ingest(&app).await?;
    let mut command = rappel(
        Some(app.database_url()),
        &["chat", "Quand ferme la plage ?"],
    )
    .await?;
    command
        .env("RAPPEL_BINARIES", &Assets::prepared().await?.binaries)
        .envs(model.environment());
    let answered = Printed::by(&mut command).await?;
    assert!(
        answered
            .answer()?
            .starts_with("À 22 heures [1].\n[1] Plage (plage, "),
        "{answered:?}"
    );

    let failed = Printed::by(&mut command).await?;
    assert!(!failed.success, "{failed:?}");
    assert!(failed.stdout.starts_with("À 22\n"), "{failed:?}");
    assert!(
        failed.stderr.contains("The answer was cut off"),
        "{failed:?}"
    );
    assert!(
        failed.stderr.contains("the functions' log is "),
        "{failed:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_reports_an_incomplete_answer() -> Outcome {
    let ends = |reason| Reply::Stream(vec![Step::Text("À 22"), Step::Finish(reason)]);
    let replies = [ends("length"), ends("content_filter"), ends("stop")];
    let (app, model) = app_with(replies, &[]).await?;
    ingest(&app).await?;
    let address = app.url().replace("http://", "");
    for lack in ["limit of tokens", "content filter"] {
        let mut command = rappel(None, &["chat", "--api", &address, "La plage ?"]).await?;
        let cut = Printed::by(&mut command).await?;
        assert!(!cut.success && cut.stdout.starts_with("À 22\n"), "{cut:?}");
        assert!(cut.stderr.contains(lack), "{cut:?}");
    }
    // A byte of another encoding is one character of the question.
    let mut child = rappel(None, &["chat", "--api", &address])
        .await?
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().context("stdin is piped")?;
    stdin.write_all(b"La plage en \xe9t\xe9 ?\r\n").await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    assert!(output.status.success(), "{output:?}");
    let asked = model.asked()[2].body.to_string();
    assert!(
        asked.contains("La plage en \u{fffd}t\u{fffd} ?\\n"),
        "{asked}"
    );
    Ok(())
}

/// What API Gateway answers on a route that it does not know.
fn no_route() -> Reply {
    Reply::Status(404, None, json!({ "message": "Not Found" }))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_a_deployment_is_found_where_its_console_says() -> Outcome {
    let (app, _model) = app_with([Reply::text(&["À 22 heures [1]."])], &[]).await?;
    ingest(&app).await?;
    let page = format!("<html data-chat=\"{}/chat\">", app.url());
    let replies = [
        no_route(),
        Reply::Raw("content-type: text/html", page.into_bytes()),
        no_route(),
        no_route(),
    ];
    // It serves the other routes of a deployment, and no chat.
    let api = LanguageModel::replying(replies).await?;
    let asked = ["chat", "Quand ferme la plage ?", "--api", &api.url()];
    let answered = Printed::by(&mut rappel(None, &asked).await?).await?;
    assert!(answered.answer()?.starts_with("À 22 heures [1].\n"));
    // Without a console it says what to give.
    let failed = Printed::by(&mut rappel(None, &asked).await?).await?;
    assert!(!failed.success, "{failed:?}");
    assert!(failed.stderr.contains("--chat-url"), "{failed:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_of_a_deployment_can_be_named() -> Outcome {
    let (app, _model) = app_with([Reply::text(&["À 22 heures [1]."])], &[]).await?;
    ingest(&app).await?;
    let chat = format!("{}/chat", app.url());
    let asked = ["chat", "La plage ?", "--chat-url", &chat];
    let mut command = rappel(None, &asked).await?;
    let answered = Printed::by(command.env("RAPPEL_API", "http://127.0.0.1:9")).await?;
    assert!(answered.answer()?.starts_with("À 22 heures [1].\n"));
    // A function URL says why it refuses with another key than API Gateway.
    let refusal = Reply::Status(403, None, json!({ "Message": "Forbidden by policy" }));
    let api = LanguageModel::replying([refusal]).await?;
    let asked = ["chat", "La plage ?", "--chat-url", &api.url()];
    let failed = Printed::by(&mut rappel(None, &asked).await?).await?;
    for part in ["403", "Forbidden by policy", "--key"] {
        assert!(failed.stderr.contains(part), "{part}: {failed:?}");
    }
    Ok(())
}
