//! The output of the `rappel` command at a terminal, and its exit status.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tests::{
    App,
    command::{Printed, open_folder, rappel, write_lines},
};
use tokio::process::Command;

use crate::Outcome;

/// Text that would change a terminal's title, clear it, colour it, and beep.
const EVIL: &str = "\u{1b}]0;pris\u{7}\u{1b}[2J\u{1b}[31mrouge\u{9b}5m\u{8}\u{7f}";

/// Whether nothing in it commands a terminal.
fn harmless(text: &str) -> bool {
    !text.contains(|c: char| c.is_control() && !"\n\t".contains(c))
}

/// The command at a terminal of its own, which `script` makes. Its output is all that the terminal got.
async fn at_a_terminal(command: &Command, variables: &[(&str, &str)]) -> anyhow::Result<String> {
    let command = command.as_std();
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    let quoted = words.map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")));
    let line = quoted.collect::<Vec<_>>().join(" ");
    let mut terminal = Command::new("script");
    terminal
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => terminal.env(name, value),
            None => terminal.env_remove(name),
        };
    }
    terminal.envs(variables.iter().copied());
    let output = terminal.output().await.context("running script")?;
    let shown = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{shown}");
    // A terminal's driver ends each line with both.
    Ok(shown.replace("\r\n", "\n"))
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_texts_cannot_control_the_terminal() -> Outcome {
    let app = App::start().await?;
    let evil = |id: &str| {
        json!({
            "id": id,
            "title": format!("Crêpes {EVIL}"),
            "content": format!("Des crêpes {EVIL} au sucre."),
            "metadata": { "lieu": EVIL },
        })
    };
    app.ingest(vec![evil("crepes")]).await?;
    let question = "Comment faire des crêpes ?";
    let search = rappel(Some(app.database_url()), &["search", question]).await?;
    let shown = at_a_terminal(&search, &[("NO_COLOR", "1")]).await?;
    assert!(
        shown.contains("Crêpes") && shown.contains("au sucre"),
        "{shown:?}"
    );
    assert!(harmless(&shown), "{shown:?}");
    let shown = at_a_terminal(&search, &[]).await?;
    let ours = ["\u{1b}[1m", "\u{1b}[1;4m", "\u{1b}[2m", "\u{1b}[0m"];
    let plain = ours
        .into_iter()
        .fold(shown.clone(), |text, code| text.replace(code, ""));
    assert!(plain != shown, "a terminal has colours: {shown:?}");
    assert!(harmless(&plain), "{plain:?}");

    let json =
        Printed::by(&mut rappel(Some(app.database_url()), &["search", question, "--json"]).await?)
            .await?;
    assert!(harmless(&json.stdout), "{json:?}");
    let title = &json.json()?["hits"][0]["title"];
    assert_eq!(*title, format!("Crêpes {EVIL}"), "JSON loses nothing");

    // The messages about a line that is refused quote it.
    let folder = open_folder()?;
    let line = json!({ "id": "a", EVIL: 1 }).to_string();
    let lines = [
        line,
        json!({ "id": "b", "content": "Un texte." }).to_string(),
    ];
    let file = write_lines(folder.path(), "evil.jsonl", &lines)?;
    let import =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    assert!(import.stderr.contains("line 1"), "{import:?}");
    assert!(harmless(&import.stderr), "{import:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_pipe_is_not_a_failure() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["recette-crepes", "sante-migraine"])
        .await?;
    let mut search = rappel(Some(app.database_url()), &["search", "des crêpes"]).await?;
    let mut search = search
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Nobody reads a word of it.
    drop(search.stdout.take());
    let output = search.wait_with_output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(
        !said.contains("roken pipe") && !said.contains("panicked") && !said.contains("error"),
        "{said}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_its_name() -> Outcome {
    let version = Printed::by(&mut rappel(None, &["--version"]).await?).await?;
    let expected = format!("rappel {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.answer()?, expected);
    let version = Printed::by(&mut rappel(None, &["search", "--version"]).await?).await?;
    assert!(version.answer()?.starts_with("rappel"), "{version:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_database_is_printed_once() -> Outcome {
    let app = App::start().await?;
    let wrong = app
        .database_url()
        .replace("postgres://", "postgres://nobody-here:wrong@");
    let wrong = match wrong.rsplit_once('@') {
        Some((_, rest)) => format!("postgres://nobody_here:wrong@{rest}"),
        None => wrong,
    };
    let refused = Printed::by(&mut rappel(Some(&wrong), &["search", "des crêpes"]).await?).await?;
    ensure!(!refused.success, "{refused:?}");
    assert_eq!(
        refused.stderr.matches("nobody_here").count(),
        1,
        "{refused:?}"
    );

    app.sql()
        .await?
        .run("DROP FUNCTION IF EXISTS rappel.stored CASCADE; REVOKE ALL ON SCHEMA public FROM PUBLIC")
        .await?;
    app.sql()
        .await?
        .run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'the archive is closed' USING ERRCODE = 'XX001'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON rappel.documents FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await?;
    let folder = open_folder()?;
    let line = json!({ "id": "b", "content": "Un texte." }).to_string();
    let file = write_lines(folder.path(), "one.jsonl", &[line])?;
    let failed =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    ensure!(!failed.success, "{failed:?}");
    assert_eq!(
        failed.stderr.matches("the archive is closed").count(),
        1,
        "{failed:?}"
    );
    for line in failed.stderr.lines().chain(refused.stderr.lines()) {
        assert!(
            !line.contains(" at line "),
            "a line of Postgres' own source: {line}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_model_names_the_option() -> Outcome {
    let app = App::start().await?;
    let other = ["search", "des crêpes", "--model", "all-MiniLM-L6-v2"];
    let refused = Printed::by(&mut rappel(Some(app.database_url()), &other).await?).await?;
    ensure!(!refused.success, "{refused:?}");
    assert!(
        refused.stderr.contains("--model") && !refused.stderr.contains("MODEL_DIR"),
        "{refused:?}"
    );
    let folder = open_folder()?;
    std::fs::write(folder.path().join("manifest.json"), "{}")?;
    let broken = [
        "search",
        "des crêpes",
        "--model",
        &folder.path().display().to_string(),
    ];
    let refused = Printed::by(&mut rappel(Some(app.database_url()), &broken).await?).await?;
    ensure!(
        !refused.success && !refused.stderr.contains("MODEL_DIR"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_not_encoded_is_explained() -> Outcome {
    for password in ["p@ss#w/rd", "a/b", "a?b", "a#b"] {
        let url = format!("postgres://app:{password}@127.0.0.1:1/x");
        let refused =
            Printed::by(&mut rappel(Some(&url), &["search", "des crêpes"]).await?).await?;
        ensure!(!refused.success, "{refused:?}");
        assert!(
            refused.stderr.contains("percent-encode") && refused.stderr.contains("DATABASE_URL"),
            "{refused:?}"
        );
        assert!(
            !refused.stderr.contains(password),
            "the password is printed: {refused:?}"
        );
    }
    // In a function, the log says it.
    let (app, ()) = App::through(async |url| {
        let (_, rest) = url.split_once("://").context("a URL")?;
        let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
        let url = format!("postgres://app:a/b@{rest}");
        Ok(((), vec![("DATABASE_URL".to_owned(), url)]))
    })
    .await?;
    // A wrong setting ends the function at its start.
    app.get("/documents", &[])
        .await?
        .problem(502, "function-failed")?;
    assert!(
        app.logged()?.contains("percent-encode"),
        "{}",
        app.logged()?
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn up_runs_no_sample_search_on_ones_own_documents_and_reads_no_file() -> Outcome {
    let app = App::start().await?;
    app.ingest(vec![
        json!({ "id": "mine", "content": "Mes propres documents." }),
    ])
    .await?;
    let folder = open_folder()?;
    let file = write_lines(
        folder.path(),
        "a.jsonl",
        &[json!({ "id": "a", "content": "b" }).to_string()],
    )?;
    let mut up = crate::up::Up::start(Some(app.database_url()), &[]).await?;
    assert!(!up.printed.contains("brûle"), "{}", up.printed);
    assert!(up.printed.contains("/documents/{id+}"), "{}", up.printed);
    let console = format!("Console: {}/\n", up.url);
    assert!(up.printed.contains(&console), "{}", up.printed);
    let client = reqwest::Client::new();
    let page = client.get(format!("{}/", up.url)).send().await?;
    assert!(page.text().await?.starts_with("<!doctype html>"));
    let source = json!({ "source": format!("file://{file}") });
    let answer = client
        .post(format!("{}/imports", up.url))
        .json(&source)
        .send()
        .await?;
    assert_eq!(answer.status(), 422);
    let problem: Value = answer.json().await?;
    assert_eq!(problem["errors"][0]["field"], "source");
    assert!(problem.to_string().contains("--import-root"), "{problem}");
    let foreign = client
        .get(format!("{}/documents", up.url))
        .header("origin", "https://evil.example");
    assert_eq!(foreign.send().await?.status(), 403);
    up.stop().await?;

    let root = folder.path().display().to_string();
    let options = [
        "--import-root",
        &root,
        "--allow-origin",
        "https://app.example",
    ];
    let mut up = crate::up::Up::start(Some(app.database_url()), &options).await?;
    let outside = json!({ "source": "file:///etc/hostname" });
    let answer = client
        .post(format!("{}/imports", up.url))
        .json(&outside)
        .send()
        .await?;
    assert_eq!(answer.status(), 422);
    let named = client
        .get(format!("{}/documents", up.url))
        .header("origin", "https://app.example");
    let named = named.send().await?;
    assert_eq!(named.status(), 200);
    assert_eq!(
        named.headers()["access-control-allow-origin"],
        "https://app.example"
    );
    up.stop().await?;
    Ok(())
}
