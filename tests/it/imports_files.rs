//! Imports of objects in every format, and lines with the same id in different parts.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use tests::{
    App, Pace, document_path,
    files::{docx, pdf},
};

use crate::{Outcome, imports::line};

async fn imported(app: &App, source: &str) -> Result<Value> {
    app.finished(&app.import(source).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_imported_in_whatever_format_it_comes() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let marked = format!("\u{feff}{}\r\n{}", line("marked-1", 0), line("marked-2", 0));
    let other = marked.replace("marked", "utf16");
    let utf16: Vec<u8> = other.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let array = json!([
        { "id": "array-1", "content": "Une vanne.", "metadata": { "n": [1, 2] } },
        { "id": "array-2", "content": "Un déversoir." },
    ]);
    let table = "id\tcontent\trivière\ntable-1\tUne vanne.\tLoire\ntable-2\tUn déversoir.\t\n";
    for (name, bytes) in [
        ("marked", marked.clone().into_bytes()),
        ("utf16", utf16),
        ("array", serde_json::to_vec_pretty(&array)?),
        ("table", table.as_bytes().to_vec()),
    ] {
        let import = imported(&app, &imports.put(name, bytes).await?).await?;
        assert_eq!(import["state"], "done", "{name}: {import}");
        assert_eq!(
            import["documents"],
            json!({ "total": 2, "done": 2, "unchanged": 0, "failed": 0 }),
            "{name}: {import}"
        );
        for number in [1, 2] {
            app.get(&format!("/documents/{name}-{number}"), &[])
                .await?
                .success(200)?;
        }
    }
    let row = app.get("/documents/table-1", &[]).await?.success(200)?;
    assert_eq!(row["metadata"], json!({ "rivière": "Loire" }));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_one_file_is_one_document() -> Outcome {
    let folder = tempfile::tempdir()?;
    let root = folder.path().canonicalize()?;
    fs::create_dir(root.join("notes"))?;
    let note = root.join("notes/filter.md");
    fs::write(
        &note,
        "---\nlang: en\n---\n# Filter\n\n{ a brace at the beginning of a line }\n",
    )?;
    let variable = ("IMPORT_ROOT".to_owned(), root.display().to_string());
    let (app, imports) = App::with_imports_and(Pace::default(), vec![variable]).await?;
    let report = pdf(
        "Station report",
        &[vec!["Page one.".to_owned()], vec!["Page two.".to_owned()]],
    )?;
    let letter = docx("Complaint", "The valve in Mill Lane still drips.")?;
    let letter = imports.put("letters/complaint.docx", letter).await?;
    let html = "<p>La station ouvre \u{e0} huit heures.";
    for (source, id, title) in [
        (letter.clone(), "letters/complaint.docx", "Complaint"),
        (
            imports.put("report", report).await?,
            "report",
            "Station report",
        ),
        (
            imports
                .put_as("opening", html, "text/html; charset=utf-8")
                .await?,
            "opening",
            "opening",
        ),
        (
            format!("file://{}", note.display()),
            "notes/filter.md",
            "Filter",
        ),
    ] {
        let import = imported(&app, &source).await?;
        assert_eq!(import["state"], "done", "{import}");
        assert_eq!(import["documents"]["done"], 1, "{import}");
        let document = app.get(&document_path(id), &[]).await?.success(200)?;
        assert_eq!(document["title"], title, "{document}");
        assert_eq!(document["metadata"]["path"], id, "{document}");
        let modified = document["metadata"]["modified"].as_str();
        assert!(
            modified.is_some_and(|time| time.ends_with('Z')),
            "{document}"
        );
    }
    let again = imported(&app, &letter).await?;
    assert_eq!(again["documents"]["unchanged"], 1, "{again}");

    let lines = format!("{}\n{}\n", line("text-1", 0), line("text-2", 0));
    let lines = imported(&app, &imports.put("lines.txt", lines).await?).await?;
    assert_eq!(lines["documents"]["done"], 2, "{lines}");

    let scan = imports.put("scan.pdf", pdf("Scan", &[Vec::new()])?).await?;
    let failed = imported(&app, &scan).await?;
    assert_eq!(failed["state"], "failed", "{failed}");
    let reason = failed["failures"][0]["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("as PDF: it has no text, as scanned pages have none"),
        "{failed}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_lines_with_one_id_the_last_one_wins_whoever_stores_it() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let version = |n: usize| {
        json!({ "id": "sujet", "content": format!("La version {n}."), "ignored": "x".repeat(20_000) }).to_string()
    };
    // Four parts, with the id three times in each of them and among its neighbours.
    let mut lines: Vec<String> = (0..90).map(|n| line(&format!("n{n}"), 20_000)).collect();
    for (n, place) in (0..12).map(|n| (n, n * 8)) {
        lines.insert(place, version(n));
    }
    lines.insert(3, version(0));
    let last = lines.iter().filter(|line| line.contains("sujet")).count() - 2;
    let import = imported(
        &app,
        &imports.put("repeated.jsonl", lines.join("\n")).await?,
    )
    .await?;
    assert!(import["parts"]["total"].as_u64() > Some(3), "{import}");
    let stored = app.get("/documents/sujet", &[]).await?.success(200)?;
    assert_eq!(stored["content"], format!("La version {last}."));
    let documents = &import["documents"];
    let sum = documents["done"].as_u64().unwrap_or_default()
        + documents["failed"].as_u64().unwrap_or_default();
    assert_eq!(sum, 103, "each line counts once: {import}");
    let failed = documents["failed"].as_u64().unwrap_or_default();
    assert!(
        (10..=12).contains(&failed),
        "those that gave way are told: {import}"
    );
    assert_eq!(import["failures"][0]["document_id"], "sujet", "{import}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cause_of_a_failure_stays_in_the_log() -> Outcome {
    let (app, imports) = App::with_imports(Pace {
        max_receives: 2,
        ..Pace::default()
    })
    .await?;
    app.sql()
        .await?
        .run(
            "CREATE UNIQUE INDEX one_of_a_title ON rappel.documents ((left(content, 4)));
             INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
             VALUES ('there', '', 'Le document', '{}', '')",
        )
        .await?;
    let import = imported(
        &app,
        &imports.put("refused.jsonl", line("refused", 0)).await?,
    )
    .await?;
    let reason = import["failures"][0]["reason"].as_str().unwrap_or_default();
    assert_eq!(
        reason, "the database rejected it; see the log for the cause",
        "{import}"
    );
    assert!(app.logged()?.contains("one_of_a_title"), "the log has it");
    assert!(!import.to_string().contains("one_of_a_title"), "{import}");
    Ok(())
}
