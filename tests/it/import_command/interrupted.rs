//! Imports that do not come to their end: Ctrl-C, a signal, a model that changes.

use std::{
    process::{Command as Shell, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tests::{
    App,
    command::{open_folder, rappel, write_lines},
    eventually,
};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{import, outcome};
use crate::Outcome;

/// Nothing here takes a tenth of it.
const HANG: Duration = Duration::from_mins(5);

const INDEX_IS_VALID: &str = "SELECT count(*) FROM pg_index
    WHERE indexrelid = to_regclass('rappel.chunks_embedding_hnsw') AND indisvalid";

/// An import that has stored something, begun by `shell`.
async fn begun(app: &App, file: &str, ignoring: bool) -> Result<(Child, i64)> {
    let stored = "SELECT count(*) FROM rappel.documents";
    let mut import = rappel(Some(app.database_url()), &["import", file]).await?;
    if ignoring {
        let plain = import.as_std();
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "trap '' INT; exec \"$0\" \"$@\""])
            .arg(plain.get_program())
            .args(plain.get_args())
            .env("DATABASE_URL", app.database_url())
            .kill_on_drop(true);
        import = shell;
    }
    let child = import
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let sql = app.sql().await?;
    let seen = eventually("something is stored", async || {
        let seen = sql.number(stored, &[]).await?;
        Ok((seen > 0).then_some(seen))
    })
    .await?;
    Ok((child, seen))
}

fn corpus(count: usize) -> Vec<String> {
    let line =
        |n| json!({ "id": format!("c{n}"), "content": format!("La fiche numéro {n} du fonds.") });
    (0..count).map(|n| line(n).to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_interrupted_keeps_what_it_stored_and_its_index() -> Outcome {
    let folder = open_folder()?;
    let file = write_lines(folder.path(), "fonds.jsonl", &corpus(3_000))?;
    for (signal, status, ignoring) in [("-INT", 130, true), ("-TERM", 143, false)] {
        let app = App::start().await?;
        let (child, seen) = begun(&app, &file, ignoring).await?;
        let pid = child.id().context("it runs")?.to_string();
        ensure!(Shell::new("kill").args([signal, &pid]).status()?.success());
        let output = timeout(HANG, child.wait_with_output())
            .await
            .context("it hangs")??;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.contains("the same command goes on"), "{said}");

        let sql = app.sql().await?;
        let stored = "SELECT count(*) FROM rappel.documents";
        let left = sql.number(stored, &[]).await?;
        assert!(
            (seen..3_000).contains(&left),
            "{seen} were stored, {left} are left"
        );
        assert_eq!(sql.number(INDEX_IS_VALID, &[]).await?, 1);
        let again = import(&app, &file, None).await?;
        let said = outcome(&again)?;
        assert_eq!(
            (&said["documents"], &said["unchanged"]),
            (&json!(3_000 - left), &json!(left)),
            "{again:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_changes_during_an_import_ends_it() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let file = write_lines(folder.path(), "fonds.jsonl", &corpus(3_000))?;
    let (child, _) = begun(&app, &file, false).await?;
    let sql = app.sql().await?;
    // Whoever is storing a batch ends first: what comes later sees the other model.
    sql.run(
        "BEGIN; LOCK TABLE rappel.documents; UPDATE rappel.model SET name = 'another';
         CREATE TABLE stored AS SELECT count(*) AS documents FROM rappel.documents; COMMIT",
    )
    .await?;
    let output = timeout(HANG, child.wait_with_output())
        .await
        .context("it hangs")??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("recipe another"), "{said}");
    let later = "SELECT (SELECT count(*) FROM rappel.documents) - documents FROM stored";
    assert_eq!(
        sql.number(later, &[]).await?,
        0,
        "nothing of another model is stored"
    );
    Ok(())
}
