//! The `rappel` command: what a user does at a terminal.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, ensure};
use serde_json::json;
use tests::{
    App,
    command::{Printed, open_folder, rappel, write_lines},
};
use tokio::time::timeout;

use crate::Outcome;

/// Nothing here takes a tenth of it.
const HANG: Duration = Duration::from_mins(5);

/// Documents in the spelling of BEIR, each about a subject of its own.
pub(crate) fn corpus(count: usize) -> Vec<String> {
    let subjects = [
        "Le pain de seigle",
        "La marée montante",
        "A bicycle lamp",
        "Un bail commercial",
    ];
    (0..count)
        .map(|n| {
            let subject = subjects[n % subjects.len()];
            json!({ "_id": format!("d{n}"), "text": format!("{subject}, numéro {n}.") }).to_string()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_reports_bad_lines_and_does_nothing_twice() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let mut lines = corpus(300);
    lines.insert(3, "not JSON".to_owned());
    lines.insert(7, json!({ "_id": "blank", "text": " " }).to_string());
    let file = write_lines(folder.path(), "documents.jsonl", &lines)?;
    compress("gzip", &file)?;
    let file = format!("{file}.gz");

    let first =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    assert_eq!(first.status, Some(3), "not all was stored: {first:?}");
    assert!(
        first
            .stdout
            .starts_with("300 documents stored in 300 chunks, 0 unchanged, 2 bad lines"),
        "{first:?}"
    );
    assert!(first.stderr.contains("line 4: is not JSON"), "{first:?}");
    assert!(
        first
            .stderr
            .contains("line 8: content: has no letters or digits"),
        "{first:?}"
    );

    let second =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    assert!(
        second
            .stdout
            .starts_with("0 documents stored in 0 chunks, 300 unchanged"),
        "{second:?}"
    );

    let changed =
        vec![json!({ "id": "d5", "content": "Tout autre chose.", "title": "Nouveau" }).to_string()];
    let file = write_lines(folder.path(), "changed.jsonl", &changed)?;
    let third =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    assert!(
        third.answer()?.starts_with("1 documents stored"),
        "{third:?}"
    );
    let document = app.get("/documents/d5", &[]).await?.success(200)?;
    assert_eq!(document["title"], "Nouveau");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strict_import_stops_at_the_first_bad_line() -> Outcome {
    let app = App::start().await?;
    let folder = open_folder()?;
    let mut lines = corpus(5);
    lines.insert(1, "{".to_owned());
    let file = write_lines(folder.path(), "documents.jsonl", &lines)?;
    compress("xz", &file)?;
    let file = format!("{file}.xz");
    let printed =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", "--strict", &file]).await?)
            .await?;
    assert!(!printed.success);
    assert!(
        printed.stderr.contains("error: line 2: is not JSON: EOF"),
        "{printed:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_interrupted_by_a_kill_of_the_server_loses_nothing_and_is_resumed() -> Outcome {
    let app = App::with_own_server().await?;
    let folder = open_folder()?;
    let file = write_lines(folder.path(), "documents.jsonl", &corpus(2_000))?;
    let stored = "SELECT count(*) FROM rappel.documents";
    let mut import = rappel(Some(app.database_url()), &["import", &file]).await?;
    let import = import
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting the import")?;
    let seen = {
        let sql = app.sql().await?;
        sql.counts(stored).await?
    };
    app.kill_postgres().await?;
    let output = timeout(HANG, import.wait_with_output())
        .await
        .context("the import hangs")??;
    assert!(
        !output.status.success(),
        "an import without its database fails"
    );

    app.restart_postgres().await?;
    let left = app.sql().await?.number(stored, &[]).await?;
    ensure!(
        left >= seen,
        "{seen} documents were stored before the kill, {left} after it"
    );
    ensure!(left < 2_000, "the server was killed in the middle");
    let again =
        Printed::by(&mut rappel(Some(app.database_url()), &["import", &file]).await?).await?;
    assert!(
        again.answer()?.contains(&format!("{left} unchanged")),
        "{again:?}"
    );
    let sql = app.sql().await?;
    assert_eq!(sql.number(stored, &[]).await?, 2_000);
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.chunks", &[])
            .await?,
        2_000
    );
    let valid = "SELECT count(*) FROM pg_index WHERE indexrelid = 'rappel.chunks_embedding_hnsw'::regclass AND indisvalid";
    assert_eq!(sql.number(valid, &[]).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_at_the_terminal_is_answered_as_over_http() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["recette-crepes", "jardin-tomates", "work-expenses"])
        .await?;
    let question = "Comment faire des crêpes ?";
    let json =
        Printed::by(&mut rappel(Some(app.database_url()), &["search", question, "--json"]).await?)
            .await?
            .json()?;
    let http = app.hits(json!({ "query": question, "limit": 5 })).await?;
    assert_eq!(json["hits"].as_array(), Some(&http));
    let text =
        Printed::by(&mut rappel(Some(app.database_url()), &["search", question, "-n", "1"]).await?)
            .await?;
    assert!(
        text.answer()?
            .starts_with(" 1. Pâte à crêpes de Bretagne  recette-crepes"),
        "{text:?}"
    );
    let refused = Printed::by(
        &mut rappel(Some(app.database_url()), &["search", question, "-n", "101"]).await?,
    )
    .await?;
    assert!(
        refused
            .stderr
            .contains("limit: is 101; 1 to 100 are allowed"),
        "{refused:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_judged_set_is_measured_on_the_embedded_database() -> Outcome {
    let folder = open_folder()?;
    let data = folder.path().join("data").display().to_string();
    let passage =
        |id: &str, text: &str| json!({ "_id": id, "title": "", "text": text }).to_string();
    let corpus = write_lines(
        folder.path(),
        "corpus.jsonl",
        &[
            passage(
                "pain",
                "La pâte à pain lève deux heures dans un endroit tiède.",
            ),
            passage(
                "velo",
                "Les vélos voyagent gratuitement dans les trains régionaux.",
            ),
            passage("tax", "Income tax returns are due on the last day of May."),
        ],
    )?;
    let question = |id: &str, text: &str| json!({ "_id": id, "text": text }).to_string();
    let queries = write_lines(
        folder.path(),
        "queries.jsonl",
        &[
            question("q1", "Peut-on prendre le train avec sa bicyclette ?"),
            question("q2", "When do I have to declare my income?"),
            question("q3", "Not judged"),
        ],
    )?;
    let qrels = ["query-id\tcorpus-id\tscore", "q1\tvelo\t1", "q2\ttax\t1"].map(str::to_owned);
    let qrels = write_lines(folder.path(), "qrels.tsv", &qrels)?;
    let arguments = [
        "eval",
        "--corpus",
        &corpus,
        "--queries",
        &queries,
        "--qrels",
        &qrels,
        "--data",
        &data,
        "--json",
    ];
    let printed = Printed::by(&mut rappel(None, &arguments).await?).await?;
    let measures = printed.json()?;
    assert_eq!(measures["questions"], 2);
    for measure in ["ndcg_at_10", "recall_at_10", "mrr_at_10"] {
        let mean = &measures["modes"]["hybrid"][measure]["mean"];
        assert_eq!(*mean, 1.0, "{measures}");
    }
    Ok(())
}

/// Compresses a file in place, as a user would.
fn compress(program: &str, file: &str) -> Outcome {
    ensure!(
        Command::new(program)
            .arg(file)
            .status()
            .with_context(|| format!("running {program}"))?
            .success()
    );
    Ok(())
}
