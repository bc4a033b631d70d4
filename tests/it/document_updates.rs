//! Documents that are sent again: only what has changed is written.

use anyhow::Result;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// The row versions of the chunks: they change when chunks are written again.
async fn chunk_rows(app: &App) -> Result<Vec<String>> {
    let rows = "SELECT ctid::text || xmin::text FROM rappel.chunks ORDER BY document_id, ordinal";
    app.sql().await?.texts(rows, &[]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_metadata_leave_the_passages_unchanged() -> Outcome {
    let app = App::start().await?;
    let text = "Le carnet est rangé dans le tiroir du haut. ".repeat(60);
    let document =
        |metadata: Value| json!({ "title": "Carnet", "content": text, "metadata": metadata });
    let put = async |metadata: Value| {
        app.put("/documents/carnet", document(metadata))
            .await?
            .success(200)
    };
    app.put("/documents/carnet", document(json!({ "lu": false })))
        .await?
        .success(201)?;
    let before = chunk_rows(&app).await?;
    let updated = put(json!({ "lu": true })).await?;
    assert_eq!(
        (&updated["status"], &updated["chunks"]),
        (&json!("updated"), &json!(before.len()))
    );
    assert_eq!(chunk_rows(&app).await?, before);
    let read = app.get("/documents/carnet", &[]).await?.success(200)?;
    assert_eq!(read["metadata"], json!({ "lu": true }));

    // The language decides how words are analysed.
    put(json!({ "language": "en" })).await?;
    assert_ne!(chunk_rows(&app).await?, before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_of_an_older_version_is_not_trusted() -> Outcome {
    let app = App::start().await?;
    let document = |lu: i32| json!({ "content": "Le vrai texte.", "metadata": { "lu": lu } });
    app.put("/documents/a", document(1)).await?.success(201)?;
    // It stores another text with its whole hash, and does not touch the hash of the text.
    app.sql()
        .await?
        .run(
            "UPDATE rappel.documents SET content = 'Un autre.', content_hash = '\\x01';
             UPDATE rappel.chunks SET content = 'Un autre.'",
        )
        .await?;
    app.put("/documents/a", document(2)).await?.success(200)?;
    let stored = app
        .sql()
        .await?
        .texts("SELECT content FROM rappel.chunks", &[])
        .await?;
    assert_eq!(stored, ["Le vrai texte."]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_metadata_change_together_in_one_batch() -> Outcome {
    let app = App::start().await?;
    let document =
        |id: &str, text: &str, n: i32| json!({ "id": id, "content": text, "metadata": { "n": n } });
    app.ingest(vec![
        document("a", "Un.", 1),
        document("b", "Deux.", 1),
        document("c", "Trois.", 1),
    ])
    .await?;
    let lines = app
        .ingest(vec![
            document("c", "Trois.", 2),
            document("d", "Quatre.", 1),
            document("a", "Un.", 1),
            document("b", "Autre.", 1),
        ])
        .await?;
    let statuses: Vec<&Value> = lines.iter().map(|line| &line["status"]).collect();
    assert_eq!(statuses, ["updated", "created", "unchanged", "updated"]);
    assert!(lines.iter().all(|line| line["chunks"] == 1), "{lines:?}");
    Ok(())
}
