//! Documents that are refused, and documents exactly at a limit.

use reqwest::Method;
use serde_json::{Value, json};
use tests::{App, document_path};

use crate::Outcome;

/// API Gateway itself refuses more than 10 MB; Lambda's payload limit, 6 MB, is the one we promise.
const OVER_THE_LIMIT: usize = 7 * 1024 * 1024;

async fn blamed(app: &App, documents: Value) -> anyhow::Result<Vec<String>> {
    app.post("/documents", json!({ "documents": documents }))
        .await?
        .refused()
}

async fn stored(app: &App) -> anyhow::Result<i64> {
    app.sql()
        .await?
        .number("SELECT count(*) FROM rappel.documents", &[])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_none_or_of_a_hundred_and_one_is_refused() -> Outcome {
    let app = App::start().await?;
    assert_eq!(blamed(&app, json!([])).await?, ["documents"]);
    let documents: Vec<_> = (0..101)
        .map(|n| json!({ "id": format!("{n}"), "content": "Trop." }))
        .collect();
    assert_eq!(blamed(&app, json!(documents)).await?, ["documents"]);
    assert_eq!(stored(&app).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_field_that_is_wrong_is_named_with_its_place_in_the_batch() -> Outcome {
    let app = App::start().await?;
    let good = json!({ "id": "bon", "content": "Rien à redire." });
    let refused = [
        (json!({ "id": "x" }), "documents[1].content"),
        (json!({ "content": "" }), "documents[1].content"),
        (json!({ "content": " \n " }), "documents[1].content"),
        (json!({ "content": 3 }), "documents[1].content"),
        (json!({ "content": "a", "id": "" }), "documents[1].id"),
        (
            json!({ "content": "a", "id": "é".repeat(257) }),
            "documents[1].id",
        ),
        (
            json!({ "content": "a", "title": "é".repeat(1_001) }),
            "documents[1].title",
        ),
        (
            json!({ "content": "a", "title": ["a"] }),
            "documents[1].title",
        ),
        (
            json!({ "content": "a", "metadata": ["a"] }),
            "documents[1].metadata",
        ),
        (
            json!({ "content": "a", "metadata": "fr" }),
            "documents[1].metadata",
        ),
        (
            json!({ "content": "a", "author": "Ada" }),
            "documents[1].author",
        ),
        (json!({ "content": "a\u{0}b" }), "documents[1].content"),
        (json!({ "content": "a", "id": "\u{0}" }), "documents[1].id"),
        (
            json!({ "content": "a", "title": "\u{0}" }),
            "documents[1].title",
        ),
    ];
    for (bad, field) in refused {
        let fields = blamed(&app, json!([good, bad]))
            .await
            .map_err(|error| error.context(bad.clone()))?;
        assert_eq!(fields, [field], "{bad}");
    }
    for metadata in [
        json!({ "clé": "a\u{0}" }),
        json!({ "a\u{0}": 1 }),
        json!({ "a": [{ "b": "\u{0}" }] }),
    ] {
        let fields = blamed(
            &app,
            json!([good, { "content": "a", "metadata": metadata }]),
        )
        .await?;
        assert!(
            fields
                .iter()
                .all(|field| field.starts_with("documents[1].metadata")),
            "{fields:?}"
        );
        assert!(!fields.is_empty(), "{metadata}");
    }
    assert_eq!(
        stored(&app).await?,
        0,
        "a batch is stored whole or not at all"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_id_and_title_are_admitted() -> Outcome {
    let app = App::start().await?;
    let (id, title) = ("é".repeat(256), "é".repeat(1_000));
    app.ingest(vec![json!({ "id": id, "title": title, "content": "a" })])
        .await?;
    let document = app.get(&document_path(&id), &[]).await?.success(200)?;
    assert_eq!(document["title"], title);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_id_with_two_contents_in_a_batch_is_refused() -> Outcome {
    let app = App::start().await?;
    let documents = json!([
        { "id": "double", "content": "La première version." },
        { "id": "autre", "content": "Sans rapport." },
        { "id": "double", "content": "La seconde version." },
    ]);
    assert_eq!(blamed(&app, documents).await?, ["documents[2].id"]);
    assert_eq!(stored(&app).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn put_refuses_a_body_that_names_another_document() -> Outcome {
    let app = App::start().await?;
    let body = json!({ "id": "grenier", "content": "Il y fait trente degrés." });
    assert_eq!(app.put("/documents/cave", body).await?.refused()?, ["id"]);
    assert_eq!(
        app.put("/documents/cave", json!({ "title": "Cave" }))
            .await?
            .refused()?,
        ["content"]
    );
    let too_long = document_path(&"é".repeat(257));
    assert_eq!(
        app.put(&too_long, json!({ "content": "a" }))
            .await?
            .refused()?,
        ["id"]
    );
    assert_eq!(stored(&app).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_six_megabytes_is_refused() -> Outcome {
    let app = App::start().await?;
    let body = json!({ "documents": [{ "content": "a".repeat(OVER_THE_LIMIT) }] })
        .to_string()
        .into_bytes();
    let answer = app
        .send(Method::POST, "/documents", "application/json", body)
        .await?;
    answer.problem(413, "body-too-large")?;
    assert_eq!(stored(&app).await?, 0);
    Ok(())
}
