//! Objects that cannot be imported completely, and what the API reports.

use anyhow::Context;
use serde_json::json;
use tests::{App, Pace};

use crate::{
    Outcome,
    imports::{line, lines},
};

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_source_is_refused_with_its_field() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    imports.put("empty.jsonl", "").await?;
    for source in [
        imports.address("missing.jsonl"),
        "s3://no-such-bucket-anywhere/key".to_owned(),
        imports.address("empty.jsonl"),
        "s3://bucket".to_owned(),
        "https://example.org/documents.jsonl".to_owned(),
        "file:///etc/hostname".to_owned(),
    ] {
        let answer = app.post("/imports", json!({ "source": source })).await?;
        assert_eq!(answer.refused()?, ["source"], "{source}: {}", answer.text);
    }
    let answer = app.post("/imports", json!({ "sauce": "s3://a/b" })).await?;
    assert_eq!(answer.refused()?, ["sauce"]);
    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.imports", &[])
            .await?,
        0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_lines_are_reported_and_never_retried() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let long = format!(
        r#"{{"id": "long", "content": "{}"}}"#,
        "x".repeat(6 * 1024 * 1024)
    );
    let text = [
        line("first", 10),
        "{\"id\": \"half".to_owned(),
        String::new(),
        json!({ "id": "no-content", "title": "?" }).to_string(),
        long,
        json!({ "id": "blank", "content": " " }).to_string(),
        "[1, 2]".to_owned(),
        line("last", 10),
    ]
    .join("\n");
    let source = imports.put("mixed.jsonl", text.clone()).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 7, "done": 2, "unchanged": 0, "failed": 5 })
    );
    let failures = import["failures"]
        .as_array()
        .context("there are failures")?;
    let told: Vec<_> = failures
        .iter()
        .map(|failure| {
            let reason = failure["reason"].as_str().unwrap_or_default();
            let word = [
                "EOF",
                "content: is missing",
                "6291456",
                "letters",
                "is a list",
            ]
            .into_iter()
            .find(|word| reason.contains(word));
            (failure["line"].as_u64(), word)
        })
        .collect();
    assert_eq!(
        told,
        [
            (Some(2), Some("EOF")),
            (Some(4), Some("content: is missing")),
            (Some(5), Some("6291456")),
            (Some(6), Some("letters")),
            (Some(7), Some("is a list")),
        ],
        "{failures:?}"
    );
    let offset = failures[0]["offset"].as_u64();
    assert_eq!(offset, Some(line("first", 10).len() as u64 + 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_their_table_are_reported_with_their_lines() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let table = "id,content\nfirst,Un bief.\nshort\nlast,Un pont.\nopen,\"Un quai.\n";
    let source = imports.put("rows.csv", table).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["documents"]["done"], 2, "{import}");
    let told: Vec<_> = import["failures"]
        .as_array()
        .context("there are failures")?
        .iter()
        .map(|failure| (failure["line"].as_u64(), failure["reason"].as_str()))
        .collect();
    let expected = [
        (Some(3), Some("a row of 1 fields under a header of 2")),
        (Some(5), Some("a quotation mark is not closed")),
    ];
    assert_eq!(told, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_holds_no_documents_is_a_failed_import() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let notes = "{\"id\": \"note\", \"texte\": \"?\"}\n".repeat(301);
    let source = imports.put("notes.jsonl", notes).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["state"], "failed", "{import}");
    assert_eq!(import["documents"]["failed"], 301, "{import}");
    assert_eq!(
        import["failures"].as_array().map(Vec::len),
        Some(100),
        "some of the reasons are enough"
    );

    let table = "nom;prénom\nBlin;Éve\n";
    let source = imports.put("table.csv", table).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["state"], "failed", "{import}");
    let reason = import["failures"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("names no column content (or text), but nom, prénom"),
        "one message for the whole object: {import}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_changes_midway_ends_its_import() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports
        .put("changing.jsonl", lines("old", 150, 20_000))
        .await?;
    let id = app.import(&source).await?;
    let sql = app.sql().await?;
    let stored = "SELECT count(*) FROM rappel.documents";
    sql.counts(stored).await?;
    imports
        .put("changing.jsonl", lines("new", 150, 20_000))
        .await?;

    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "failed", "{import}");
    assert_eq!(
        import["failures"][0]["reason"], "the object changed while it was imported",
        "{import}"
    );
    let new = "SELECT count(*) FROM rappel.documents WHERE id LIKE 'new-%'";
    assert_eq!(
        sql.number(new, &[]).await?,
        0,
        "nothing of the other object"
    );
    imports.emptied().await?;
    assert_eq!(
        imports.given_up().await?,
        0,
        "nothing is tried again and again"
    );
    Ok(())
}
