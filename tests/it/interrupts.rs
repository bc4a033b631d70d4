//! Commands that Ctrl-C ends: what they began is taken back, or said, and the exit status tells.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    App,
    command::{open_folder, rappel},
    endpoint::Endpoint,
    eventually,
};
use tokio::{
    process::{Child, Command},
    time::{sleep, timeout},
};

use crate::Outcome;

/// Longer than anything here takes.
const HANG: Duration = Duration::from_mins(1);

/// A command with its output piped.
async fn start(database_url: Option<&str>, arguments: &[&str]) -> Result<Child> {
    let mut command = rappel(database_url, arguments).await?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().context("starting rappel")
}

/// Ends a command by Ctrl-C; what it says.
async fn interrupt(process: Child) -> Result<String> {
    let pid = process.id().context("it runs")?.to_string();
    let status = Command::new("kill").args(["-INT", &pid]).status().await?;
    ensure!(status.success(), "kill -INT {pid}: {status}");
    let output = timeout(HANG, process.wait_with_output())
        .await
        .context("it does not end")??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(
        output.status.code() == Some(130),
        "{}: {said}",
        output.status
    );
    Ok(said)
}

/// Waits until `is_so`.
async fn until(is_so: impl AsyncFn() -> Result<bool>) -> Outcome {
    let waiting = async {
        while !is_so().await? {
            sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    timeout(HANG, waiting).await.context("it never is so")?
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_check_removes_its_document() -> Outcome {
    // The search has no end. A request without a body is the removal.
    let api = Endpoint::answering(|asked| match asked.path.as_str() {
        "/search" => None,
        _ if asked.body.is_empty() => Some((204, String::new())),
        _ => Some((200, r#"{"chunks": 1}"#.to_owned())),
    })
    .await?;
    let url = api.url();
    let checking = start(None, &["check", "--api", &url]).await?;
    until(async || Ok(api.asked().iter().any(|asked| asked.path == "/search"))).await?;
    interrupt(checking).await?;
    let asked = api.asked();
    let removal = asked.last().context("requests")?;
    assert!(
        removal.path.starts_with("/documents/rappel-check-") && removal.body.is_empty(),
        "{asked:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_migration_gives_the_database_back() -> Outcome {
    let app = App::start().await?;
    let (sql, reader) = (app.sql().await?, app.sql().await?);
    let recipe = "SELECT name FROM rappel.model";
    let name = sql.texts(recipe, &[]).await?.concat();
    let (before, _) = name
        .rsplit_once(' ')
        .context("a recipe ends with its analysis")?;
    let old = format!("{before} 0");
    sql.run(&format!("UPDATE rappel.model SET name = '{old}'"))
        .await?;
    // The conversion waits for somebody who reads what it replaces.
    reader
        .run("BEGIN; LOCK TABLE rappel.chunk_terms IN ACCESS SHARE MODE")
        .await?;
    let migrating = start(Some(app.database_url()), &["migrate"]).await?;
    until(async || Ok(sql.texts(recipe, &[]).await?.concat() != old)).await?;
    let said = interrupt(migrating).await?;
    assert!(said.contains("taken back"), "{said}");
    assert_eq!(sql.texts(recipe, &[]).await?.concat(), old);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_wait_says_that_the_table_is_followed() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run("CREATE TABLE public.notes (id integer PRIMARY KEY, body text)")
        .await?;
    let arguments = [
        "follow",
        "notes",
        "--table",
        "public.notes",
        "--content",
        "body",
        "--wait",
    ];
    let following = start(Some(app.database_url()), &arguments).await?;
    let sources = "SELECT count(*) FROM rappel.sources";
    until(async || Ok(sql.number(sources, &[]).await? == 1)).await?;
    let said = interrupt(following).await?;
    assert!(said.contains("rappel sources remove notes"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn up_can_be_ended_before_it_serves() -> Outcome {
    let folder = open_folder()?;
    let data = folder.path().join("data");
    let arguments = ["up", "--port", "0", "--data", &data.display().to_string()];
    let plain = rappel(None, &arguments).await?;
    let mut up = Command::new("sh");
    up.args(["-c", "trap '' INT; exec \"$0\" \"$@\""])
        .arg(plain.as_std().get_program())
        .args(plain.as_std().get_args())
        .env_remove("DATABASE_URL")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let up = up.spawn()?;
    eventually("its database starts", async || {
        Ok(data.join("postmaster.pid").exists().then_some(()))
    })
    .await?;
    interrupt(up).await?;
    eventually("its database ends", async || {
        Ok((!data.join("postmaster.pid").exists()).then_some(()))
    })
    .await?;
    Ok(())
}
