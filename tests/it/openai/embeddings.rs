//! Embeddings, which need no language model.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use embedder::cosine;
use reqwest::Method;
use serde_json::{Value, json};
use tests::App;

use super::{asked, read, refusal};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn embeddings_are_those_of_searches_and_documents() -> Outcome {
    let app = App::start().await?;
    let embed = async |more: Value| {
        let mut request = json!({ "input": ["Quand ferme la plage ?"] });
        if let (Some(request), Value::Object(more)) = (request.as_object_mut(), more) {
            request.extend(more);
        }
        app.post("/v1/embeddings", request).await
    };
    let floats = embed(json!({ "input_type": "query", "dimensions": 384 }))
        .await?
        .success(200)?;
    let vector = |answer: &Value| -> Result<Vec<f32>> {
        Ok(serde_json::from_value(
            answer["data"][0]["embedding"].clone(),
        )?)
    };
    let query = vector(&floats)?;
    let encoded = embed(json!({ "input_type": "search_query", "encoding_format": "base64" }))
        .await?
        .success(200)?;
    let bytes = encoded["data"][0]["embedding"].as_str().context("a text")?;
    let decoded: Vec<f32> = BASE64_STANDARD
        .decode(bytes)?
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    assert_eq!(decoded, query);
    // A passage has another prefix and another mean.
    let passage = vector(&embed(json!({})).await?.success(200)?)?;
    assert!(cosine(&query, &passage) < 0.99);
    app.ingest(vec![
        json!({ "id": "a", "content": "Quand ferme la plage ?" }),
    ])
    .await?;
    let hits = app
        .hits(json!({ "query": "Quand ferme la plage ?", "mode": "semantic" }))
        .await?;
    let distance = hits[0]["distance"].as_f64().context("a distance")?;
    assert!(
        (1.0 - f64::from(cosine(&query, &passage)) - distance).abs() < 0.01,
        "{distance}"
    );

    let long = "La plage ferme à 22 heures. ".repeat(100);
    for (field, request) in [
        ("input", json!({ "input": long })),
        ("input[1]", json!({ "input": ["a", long] })),
        ("input[0]", json!({ "input": [[1, 2]] })),
        ("input", json!({ "input": "" })),
        ("dimensions", json!({ "dimensions": 256 })),
        ("encoding_format", json!({ "encoding_format": "int8" })),
        ("input_type", json!({ "input_type": "image" })),
    ] {
        let error = refusal(&embed(request).await?, 400, "invalid_request").context(field)?;
        assert_eq!(error["param"], field, "{error}");
    }
    let other = embed(json!({ "model": "text-embedding-3-small" })).await?;
    refusal(&other, 404, "model_not_found")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_language_model_there_are_embeddings_alone() -> Outcome {
    let app = App::start().await?;
    let models = app.get("/v1/models", &[]).await?.success(200)?;
    assert_eq!(models["data"].as_array().map(Vec::len), Some(1), "{models}");
    assert_eq!(models["data"][0]["id"], "multilingual-e5-small");
    let answer = app.post("/v1/chat/completions", asked(json!({}))).await?;
    refusal(&answer, 501, "language_model_missing")?;
    for (method, path, status) in [
        (Method::GET, "/v1/chat/completions", 405),
        (Method::POST, "/v1/models", 405),
        (Method::GET, "/v1/models/gpt-5", 404),
    ] {
        let answer = app
            .send(method, path, "application/json", b"{}".to_vec())
            .await?;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        assert!(read(&answer)?["error"]["message"].is_string(), "{path}");
    }
    let text = app
        .send(Method::POST, "/v1/embeddings", "text/plain", b"{}".to_vec())
        .await?;
    refusal(&text, 415, "unsupported_media_type")?;
    Ok(())
}
