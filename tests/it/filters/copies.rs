//! Keyword search tests a filter on the copy of the metadata beside a chunk's terms, where there is one.

use filter::Filter;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{App, Sql};

use crate::{Outcome, changes::send};

/// The ids that a keyword search finds, as it does where the filter matches many.
async fn found(sql: &Sql, filter: &Value) -> anyhow::Result<Vec<String>> {
    let schema = migrations::FUNCTIONS;
    let compiled = Filter::parse(&filter.to_string())?.compile().to_json();
    let found = format!(
        "SELECT unnest(k.ids) AS id
         FROM {schema}.term_weights('', '{{lavand}}', '{{0}}', '{{0}}') AS w,
              LATERAL {schema}.keyword_candidates(
                  '', w.terms, w.weights, w.pieces, {schema}.bm25_expression(w.terms, w.weights, w.pieces, 1.2),
                  1.2, 0.75, 2, 100, 1, NULL, $1::text::jsonb, NULL, false, 1000) AS k
         ORDER BY id"
    );
    sql.texts(&found, &[&compiled]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_follows_the_metadata_of_documents() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    let long = "La lavande fleurit en été dans les champs de Provence. ".repeat(3_000);
    // Nothing that the server could compress.
    let large: Vec<u32> = (0..250)
        .map(|n: u32| n.wrapping_mul(2_654_435_761))
        .collect();
    app.ingest(vec![
        json!({ "id": "small", "content": "Lavande.", "metadata": { "colour": "blue" } }),
        json!({ "id": "large", "content": "Lavande.", "metadata": { "colour": "blue", "note": &large } }),
        json!({ "id": "long", "content": long, "metadata": { "colour": "blue" } }),
    ])
    .await?;
    // Only what is cheap to change has a copy.
    let copied =
        "SELECT DISTINCT document_id::text FROM rappel.chunk_terms WHERE metadata IS NOT NULL";
    assert_eq!(sql.texts(copied, &[]).await?, ["small"]);

    let (blue, white) = (json!({ "colour": "blue" }), json!({ "colour": "white" }));
    let all = ["large", "long", "small"];
    assert_eq!(found(&sql, &blue).await?, all);
    assert!(found(&sql, &white).await?.is_empty());
    // A document's own fields are not copied.
    let own = json!({ "colour": "blue", "$id": { "$in": ["small", "long"] } });
    assert_eq!(found(&sql, &own).await?, ["long", "small"]);

    let patch = json!({ "metadata": { "colour": "white" } });
    for id in all {
        let document = format!("/documents/{id}");
        send(&app, Method::PATCH, &document, None, patch.clone())
            .await?
            .success(200)?;
        assert!(found(&sql, &white).await?.contains(&id.to_owned()), "{id}");
    }
    assert!(found(&sql, &blue).await?.is_empty());

    // Metadata that become large are no longer copied, nor are those of an older release.
    let patch = json!({ "metadata": { "colour": "blue", "note": large } });
    send(&app, Method::PATCH, "/documents/small", None, patch)
        .await?
        .success(200)?;
    assert!(sql.texts(copied, &[]).await?.is_empty());
    assert_eq!(found(&sql, &blue).await?, ["small"]);
    sql.run("UPDATE rappel.chunk_terms SET metadata = NULL")
        .await?;
    assert_eq!(found(&sql, &white).await?, ["large", "long"]);
    Ok(())
}
