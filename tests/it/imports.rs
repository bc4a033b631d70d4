//! Bulk imports: an object of documents is processed through the queue, and its state shows the progress.

use std::io::Write as _;

use anyhow::Result;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use tests::{App, Pace};

use crate::Outcome;

/// A line of a small document, made long by a key that imports ignore: parts are counted in bytes, and
/// what takes time is embedding.
pub(crate) fn line(id: &str, bytes: usize) -> String {
    let text = format!("Le document {id} parle de la page {id}.");
    json!({ "id": id, "content": text, "ignored": "x".repeat(bytes) }).to_string()
}

/// `count` lines with the ids `prefix-0` and so on.
pub(crate) fn lines(prefix: &str, count: usize, bytes: usize) -> String {
    let lines: Vec<String> = (0..count)
        .map(|n| line(&format!("{prefix}-{n}"), bytes))
        .collect();
    lines.join("\n") + "\n"
}

fn gzip(text: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes())?;
    Ok(encoder.finish()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_imported_part_by_part_and_searched() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let text = lines("page", 60, 30_000)
        + r#"{"_id": "beir", "title": "Plage", "text": "La plage ferme à 22 heures.", "metadata": {"saison": "été"}}"#;
    let source = imports.put("un dossier/été.jsonl", text.clone()).await?;

    let id = app.import(&source).await?;
    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 61, "done": 61, "unchanged": 0, "failed": 0 })
    );
    assert_eq!(
        import["bytes"],
        json!({ "total": text.len(), "done": text.len() })
    );
    assert_eq!(
        import["parts"],
        json!({ "total": 4, "done": 4, "failed": 0 })
    );
    assert_eq!(import["failures"], json!([]));
    assert!(
        import["documents_per_second"].as_f64() > Some(0.0),
        "{import}"
    );
    assert!(import["finished_at"].is_string(), "{import}");

    let sql = app.sql().await?;
    let documents = "SELECT count(*) FROM rappel.documents";
    assert_eq!(sql.number(documents, &[]).await?, 61);
    let hits = app
        .hits(json!({ "query": "à quelle heure ferme la plage ?", "filter": { "saison": "été" } }))
        .await?;
    assert_eq!(hits[0]["document_id"], "beir");

    // The same object once more changes nothing.
    let again = app.finished(&app.import(&source).await?).await?;
    assert_eq!(
        again["documents"],
        json!({ "total": 61, "done": 61, "unchanged": 61, "failed": 0 })
    );
    app.get("/imports/nobody", &[])
        .await?
        .problem(404, "not-found")?;

    // A month later another import makes it be forgotten, and nothing of its documents.
    sql.run("UPDATE rappel.imports SET created_at = now() - interval '31 days'")
        .await?;
    let last = app.import(&source).await?;
    app.finished(&last).await?;
    assert_eq!(
        sql.texts("SELECT id FROM rappel.imports", &[]).await?,
        [last]
    );
    assert_eq!(sql.number(documents, &[]).await?, 61);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_object_is_cut_into_pieces() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let text = lines("piece", 150, 40_000) + "no document\n";
    // Its name does not say that it is compressed; its first bytes do.
    let source = imports.put("compressed", gzip(&text)?).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 151, "done": 150, "unchanged": 0, "failed": 1 })
    );
    assert_eq!(
        import["bytes"],
        json!({ "total": text.len(), "done": text.len() })
    );
    assert_eq!(import["parts"]["total"], 3, "{import}");
    // Places are those of the content.
    assert_eq!(import["failures"][0]["line"], 151, "{import}");
    assert_eq!(
        import["failures"][0]["offset"],
        text.len() - "no document\n".len()
    );

    let mut broken = gzip(&text)?;
    broken.truncate(broken.len() / 2);
    let source = imports.put("broken.gz", broken).await?;
    let import = app.finished(&app.import(&source).await?).await?;
    assert_eq!(import["state"], "failed", "{import}");
    let reason = import["failures"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("truncated"), "{reason}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_that_aws_sends_are_understood() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports.put("documents.jsonl", lines("a", 2, 0)).await?;
    let event = |text: &str| -> Result<Value> {
        let text = text.replace("s3://documents-to-import/documents.jsonl", &source);
        Ok(serde_json::from_str(&text)?)
    };
    let post = event(include_str!("../events/imports-post.json"))?;
    let response = app.invoke("imports", post).await?;
    assert_eq!(response["statusCode"], 202, "{response}");
    let body: Value = serde_json::from_str(response["body"].as_str().unwrap_or_default())?;
    let id = body["id"].as_str().unwrap_or_default();
    assert_eq!(app.finished(id).await?["state"], "done");

    let get = include_str!("../events/imports-get.json");
    let get = get.replace("6f1c2a90-5d43-4b1e-9c57-0a2be8d1f3c4", id);
    let response = app.invoke("imports", event(&get)?).await?;
    assert_eq!(response["statusCode"], 200, "{response}");

    // Its messages name an import that is not there, and something that is no message of ours.
    let sqs = event(include_str!("../events/import-worker-sqs.json"))?;
    let response = app.invoke("import-worker", sqs).await?;
    assert_eq!(
        response,
        json!({ "batchItemFailures": [{ "itemIdentifier": "2e1424d4-f796-459a-8184-9c92662be6da" }] })
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_of_a_compressed_object_is_completed_after_its_queue_is_lost() -> Outcome {
    let (app, imports) = App::with_imports(Pace::default()).await?;
    let source = imports
        .put("lost.gz", gzip(&lines("lost", 150, 40_000))?)
        .await?;
    let id = app.import(&source).await?;
    assert_eq!(app.finished(&id).await?["parts"]["total"], 3);
    imports.emptied().await?;

    // As if the laptop had been closed while the second of three pieces was in work, and the third done.
    let sql = app.sql().await?;
    sql.run(
        "UPDATE rappel.import_parts
         SET position = first, lines = 0, stored = 0, finished_at = NULL, worker = 'gone'
         WHERE part = 2;
         DELETE FROM rappel.documents",
    )
    .await?;
    imports
        .put(&format!("imports/{id}/000002.jsonl"), "lost")
        .await?;
    let reopened = concat!(
        "SELECT ",
        schema::function!("reopen_imports"),
        "(queue, 3) FROM rappel.imports"
    );
    let elsewhere = concat!(
        "SELECT ",
        schema::function!("reopen_imports"),
        "('123456789012/another', 3)"
    );
    assert!(sql.texts(elsewhere, &[]).await?.is_empty());
    assert_eq!(sql.texts(reopened, &[]).await?, [id.as_str()]);
    imports
        .send(&json!({ "import": id, "part": 0, "since": 4_000_000_000_u64 }))
        .await?;

    let import = app.finished(&id).await?;
    assert_eq!(import["state"], "done", "{import}");
    assert_eq!(
        import["documents"],
        json!({ "total": 150, "done": 150, "unchanged": 0, "failed": 0 })
    );
    let lost = "SELECT count(*) FROM rappel.import_parts AS p
        WHERE p.part = 2 AND p.stored <> (SELECT count(*) FROM rappel.documents)";
    assert_eq!(sql.number(lost, &[]).await?, 0, "the piece was stored");
    assert!(
        sql.number("SELECT count(*) FROM rappel.documents", &[])
            .await?
            > 40
    );
    Ok(())
}
