//! Who may send requests: API keys, and tokens that the functions verify.

mod administrators;
mod key_checks;
mod keys;
mod limits;
mod tenants;
mod tokens;

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    Answer, App,
    command::{Printed, rappel},
};

use crate::Outcome;

/// The product in a mode, on a migrated database.
async fn app(settings: &[(&str, &str)]) -> Result<App> {
    let settings = settings.iter();
    let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let settings: Vec<_> = settings.collect();
    let (app, ()) = App::through(async |_| Ok(((), settings))).await?;
    app.invoke("migrate", json!({})).await?;
    Ok(app)
}

/// A request with a bearer key or token.
async fn send(app: &App, bearer: &str, method: Method, path: &str, body: Value) -> Result<Answer> {
    let header = format!("Bearer {bearer}");
    let headers = [
        ("authorization", header.as_str()),
        ("content-type", "application/json"),
    ];
    app.request(method, path, &headers, body.to_string().into())
        .await
}

/// What `rappel keys create` prints with these options.
async fn created(app: &App, options: &[&str]) -> Result<Value> {
    let arguments = [&["keys", "create", "--json", "--name", "story"], options].concat();
    let mut command = rappel(Some(app.database_url()), &arguments).await?;
    Printed::by(&mut command).await?.json()
}

/// A new key with these options.
pub(crate) async fn key(app: &App, options: &[&str]) -> Result<String> {
    let created = created(app, options).await?;
    Ok(created["key"].as_str().context("a key")?.to_owned())
}

/// The ids of the hits of a search.
async fn found(app: &App, bearer: &str) -> Result<Vec<String>> {
    let search = json!({ "query": "des crêpes", "limit": 10 });
    let body = send(app, bearer, Method::POST, "/search", search)
        .await?
        .success(200)?;
    let hits = body["hits"].as_array().context("hits")?;
    let ids = hits.iter().filter_map(|hit| hit["document_id"].as_str());
    let mut ids: Vec<String> = ids.map(str::to_owned).collect();
    ids.sort();
    Ok(ids)
}

/// Stores a document.
pub(crate) async fn store(app: &App, bearer: &str, id: &str, metadata: Value) -> Outcome {
    let document = json!({ "id": id, "content": "La recette des crêpes.", "metadata": metadata });
    let body = json!({ "documents": [document] });
    send(app, bearer, Method::POST, "/documents", body)
        .await?
        .success(200)?;
    Ok(())
}
