//! `rappel index rebuild`: another index beside the one that searches use, which replaces it.

use serde_json::json;
use tests::{
    App,
    command::{Printed, rappel},
};

use super::{NO_ROOM, index_check};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn an_index_of_an_older_release_is_rebuilt_on_request() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    let definition = "SELECT string_agg(indexdef, ' ') FROM pg_indexes WHERE indexname LIKE 'chunks_embedding_hnsw%'";
    let built = sql.texts(definition, &[]).await?;
    assert_eq!(index_check(&app).await?["status"], "ok");
    let rebuild = async || {
        Printed::by(&mut rappel(Some(app.database_url()), &["index", "rebuild"]).await?).await
    };

    // As it was, and what an interrupted rebuild left.
    let old = built.concat().replace("WITH (ef_construction='128')", "");
    let left = old.replace("chunks_embedding_hnsw", "chunks_embedding_hnsw_new");
    sql.run(&format!(
        "DROP INDEX rappel.chunks_embedding_hnsw; {old}; {left}"
    ))
    .await?;
    let outdated = index_check(&app).await?;
    assert_eq!(outdated["status"], "warning", "{outdated}");
    assert!(
        outdated["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("rappel index rebuild")),
        "{outdated}"
    );
    let printed = rebuild().await?;
    assert!(printed.success, "{printed:?}");
    assert_eq!(sql.texts(definition, &[]).await?, built);
    assert_eq!(index_check(&app).await?["status"], "ok");
    assert_eq!(app.hits(json!({ "query": "des crêpes" })).await?.len(), 1);

    // The exchange was interrupted after the old one was dropped: nothing is built.
    sql.run("ALTER INDEX rappel.chunks_embedding_hnsw RENAME TO chunks_embedding_hnsw_new")
        .await?;
    let oid = "SELECT max(oid)::text FROM pg_class WHERE relname LIKE 'chunks_embedding_hnsw%'";
    let left = sql.texts(oid, &[]).await?;
    let printed = rebuild().await?;
    assert!(printed.success, "{printed:?}");
    assert_eq!(sql.texts(definition, &[]).await?, built);
    assert_eq!(sql.texts(oid, &[]).await?, left);

    // One that is being built elsewhere is left alone.
    let new = built
        .concat()
        .replace("chunks_embedding_hnsw", "chunks_embedding_hnsw_new");
    let builder = app.sql().await?;
    sql.run(&format!(
        "{new}; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'rappel.chunks_embedding_hnsw_new'::regclass"
    ))
    .await?;
    builder
        .run("BEGIN; LOCK TABLE rappel.chunks IN SHARE UPDATE EXCLUSIVE MODE")
        .await?;
    let printed = rebuild().await?;
    assert!(
        !printed.success && printed.stderr.contains("being rebuilt already"),
        "{printed:?}"
    );
    builder.run("COMMIT").await?;

    // A build that fails leaves the old one.
    sql.run(NO_ROOM).await?;
    let printed = rebuild().await?;
    assert!(
        !printed.success && printed.stderr.contains("the old one is kept"),
        "{printed:?}"
    );
    assert_eq!(sql.texts(definition, &[]).await?, built);
    Ok(())
}
