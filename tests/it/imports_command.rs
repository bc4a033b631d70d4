//! `rappel import --api`, as a user runs it.

use anyhow::ensure;
use tests::{
    App, Pace,
    command::{Printed, rappel},
};

use crate::{Outcome, imports::lines};

#[tokio::test(flavor = "multi_thread")]
async fn the_command_posts_an_import_and_watches_it_to_its_end() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports
        .put("documents.jsonl", lines("command", 3, 10) + "no document\n")
        .await?;
    let url = app.url();
    let run = async |source: &str| {
        Printed::by(&mut rappel(None, &["import", "--api", &url, source]).await?).await
    };
    let printed = run(&source).await?;
    let answer = printed.answer()?;
    assert!(
        answer.starts_with("3 documents, 0 of them unchanged; 1 failed;"),
        "{answer}"
    );
    assert!(answer.contains("line 4: expected"), "{answer}");

    let table = imports.put("table.csv", "id;content\n").await?;
    let printed = run(&table).await?;
    ensure!(
        !printed.success,
        "an import without a document fails: {printed:?}"
    );
    assert!(printed.stderr.contains("the import failed"), "{printed:?}");

    let printed = run(&imports.address("missing.jsonl")).await?;
    ensure!(!printed.success, "there is no such object: {printed:?}");
    assert!(printed.stderr.contains("does not exist"), "{printed:?}");
    Ok(())
}
