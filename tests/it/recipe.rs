//! The embedding recipe of a database: there is only one, and a migration converts an older one.

use anyhow::Context as _;
use embedder::{Embedder, Kind, ModelConfig, cosine, titled};
use serde_json::{Value, json};
use tests::{App, Assets, Sql};
use tokio::task::spawn_blocking;

use crate::Outcome;

/// One of them is long enough to have several passages.
const SAMPLES: [&str; 3] = [
    "travail-reglement-atelier",
    "recette-crepes",
    "library-late-returns",
];

async fn load() -> anyhow::Result<Embedder> {
    let assets = Assets::prepared().await?;
    let config = ModelConfig {
        folder: assets.model.clone(),
        library: assets.onnxruntime.clone(),
        threads: 1,
    };
    Ok(spawn_blocking(move || Embedder::load(&config)).await??)
}

/// The name, then the embedding, of each passage.
async fn embeddings(sql: &Sql) -> anyhow::Result<Vec<(String, Vec<f32>)>> {
    let select = "SELECT document_id || '/' || ordinal || ' ' || embedding::text FROM rappel.chunks ORDER BY 1";
    let parse = |row: String| {
        let (name, vector) = row.split_once(' ').context("two columns")?;
        Ok((name.to_owned(), serde_json::from_str(vector)?))
    };
    sql.texts(select, &[])
        .await?
        .into_iter()
        .map(parse)
        .collect()
}

async fn terms(sql: &Sql) -> anyhow::Result<Vec<String>> {
    let select = "SELECT document_id || '/' || ordinal || ' ' || length || ' ' || terms::text || frequencies::text
        FROM rappel.chunk_terms ORDER BY 1";
    sql.texts(select, &[]).await
}

async fn recipe(sql: &Sql) -> anyhow::Result<String> {
    Ok(sql
        .texts("SELECT name FROM rappel.model", &[])
        .await?
        .concat())
}

/// The recipe with the first text analysis.
fn older(recipe: &str) -> anyhow::Result<String> {
    let (rest, _) = recipe
        .rsplit_once(' ')
        .context("a recipe ends with its analysis")?;
    Ok(format!("{rest} 0"))
}

/// Puts back what a build without centring stored.
async fn make_old(sql: &Sql, embedder: &Embedder) -> anyhow::Result<()> {
    let select = "SELECT c.document_id || E'\\x01' || c.ordinal || E'\\x01' || d.title || E'\\x01' || c.heading
            || E'\\x01' || c.content
        FROM rappel.chunks AS c JOIN rappel.documents AS d ON d.id = c.document_id";
    for row in sql.texts(select, &[]).await? {
        let parts: Vec<&str> = row.split('\u{1}').collect();
        let [document, ordinal, title, heading, content] = parts[..] else {
            anyhow::bail!("{row:?} has not five parts");
        };
        let text = titled(title, heading, content);
        let uncentred = embedder.embed_uncentred(Kind::Passage, &[&text])?;
        let vector = serde_json::to_string(&uncentred[0])?;
        sql.run(&format!(
            "UPDATE rappel.chunks SET embedding = '{vector}' WHERE document_id = '{document}' AND ordinal = {ordinal}"
        ))
        .await?;
    }
    sql.run("UPDATE rappel.model SET name = 'multilingual-e5-small'")
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_from_before_centring_is_converted_to_what_embedding_anew_would_give() -> Outcome
{
    let app = App::start().await?;
    app.ingest_samples(&SAMPLES).await?;
    let sql = app.sql().await?;
    let (anew, words, name) = (
        embeddings(&sql).await?,
        terms(&sql).await?,
        recipe(&sql).await?,
    );
    assert!(name.starts_with("multilingual-e5-small centred "), "{name}");
    make_old(&sql, &load().await?).await?;

    let refused = app.post("/search", json!({ "query": "la mer" })).await?;
    assert!(
        refused.status >= 500,
        "two recipes are not mixed: {}",
        refused.text
    );

    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["converted_from"], "multilingual-e5-small");
    assert_eq!(recipe(&sql).await?, name);
    let converted = embeddings(&sql).await?;
    assert_eq!(converted.len(), anew.len());
    for ((place, converted), (_, anew)) in converted.iter().zip(&anew) {
        let cosine = cosine(converted, anew);
        assert!(cosine >= 0.9999, "{place}: {cosine}");
    }
    assert_eq!(terms(&sql).await?, words);
    let hits = app.hits(json!({ "query": "crêpes", "limit": 1 })).await?;
    assert_eq!(hits[0]["document_id"], "recette-crepes");
    let again = app.invoke("migrate", json!({})).await?;
    assert_eq!(again["converted_from"], Value::Null, "once is enough");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_an_older_analysis_are_found_again_after_the_migration() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&SAMPLES).await?;
    let sql = app.sql().await?;
    let (words, old) = (terms(&sql).await?, older(&recipe(&sql).await?)?);
    sql.run(&format!(
        "DELETE FROM rappel.chunk_terms;
         UPDATE rappel.model SET name = '{old} (being converted)'"
    ))
    .await?;
    // The one before was killed.
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["converted_from"], old);
    assert_eq!(terms(&sql).await?, words);
    let statistics = "SELECT sum(chunks) FROM rappel.term_statistics WHERE term = ''";
    let chunks = sql
        .texts("SELECT count(*)::text FROM rappel.chunks", &[])
        .await?;
    assert_eq!(
        sql.texts(&statistics.replace("sum(chunks)", "sum(chunks)::text"), &[])
            .await?,
        chunks
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversion_that_fails_gives_the_database_back() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&SAMPLES).await?;
    let sql = app.sql().await?;
    let (words, name) = (terms(&sql).await?, recipe(&sql).await?);
    let old = older(&name)?;
    sql.run(&format!(
        "UPDATE rappel.model SET name = '{old}';
         ALTER TABLE rappel.chunk_terms ADD CONSTRAINT never CHECK (false) NOT VALID"
    ))
    .await?;
    let failed = app.invoke("migrate", json!({})).await;
    assert!(failed.is_err(), "{failed:?}");
    // The build of that recipe works on.
    assert_eq!(recipe(&sql).await?, old);
    assert_eq!(terms(&sql).await?, words);
    sql.run("ALTER TABLE rappel.chunk_terms DROP CONSTRAINT never")
        .await?;
    let report = app.invoke("migrate", json!({})).await?;
    assert_eq!(report["converted_from"], old);
    assert_eq!(recipe(&sql).await?, name);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_converted_is_refused_with_what_to_do() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    for (name, remedy) in [
        (
            "multilingual-e5-small centred 0.5-01234567 words 1",
            "import the documents into a new database",
        ),
        ("multilingual-e5-small words 9999", "newer version"),
        ("another-model", "MODEL_DIR"),
    ] {
        sql.run(&format!("UPDATE rappel.model SET name = '{name}'"))
            .await?;
        let refused = app.invoke("migrate", json!({})).await;
        assert!(refused.is_err(), "{name}: {refused:?}");
        let log = app.logged()?;
        assert!(log.contains(remedy), "{name}: {log}");
        assert_eq!(recipe(&sql).await?, name, "it is left as it is");
    }
    Ok(())
}
