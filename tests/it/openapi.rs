//! The description of the API is that of the routes that are served, and the API keeps to it.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tests::{
    App, Assets, Clients, Imports, Pace,
    command::{Printed, rappel},
    issuer::{claims_of, issuer_with, new_key, signed_with},
    language_model::{LanguageModel, Reply},
};

use crate::{
    Outcome,
    access::{key, store},
};

async fn described() -> Result<Value> {
    let mut command = rappel(None, &["openapi"]).await?;
    Printed::by(&mut command).await?.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_description_is_that_of_the_types() -> Outcome {
    let file = Assets::prepared()
        .await?
        .workspace
        .join("docs/openapi.json");
    let committed: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    assert!(
        committed == described().await?,
        "docs/openapi.json is out of date: rappel openapi > docs/openapi.json"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_the_description_is_served() -> Outcome {
    let (app, _queue) = App::with_imports(Pace::default()).await?;
    let description = described().await?;
    let paths = description["paths"].as_object().context("it has paths")?;
    let described: BTreeSet<String> = paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().into_iter().flat_map(|it| it.keys());
            methods.map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let served = app.routes().iter().filter(|route| route.method != "HEAD");
    let served: BTreeSet<(&str, String)> = served
        .map(|route| (route.method.as_str(), route.path.replace("+}", "}")))
        .collect();
    for (method, path) in &served {
        let is_described = match *method {
            // The chat's function looks at the method itself, and at the path below /v1.
            "ANY" => described.iter().any(|route| {
                let prefix = path.split('{').next().unwrap_or(path);
                route
                    .split_once(' ')
                    .is_some_and(|(_, it)| it.starts_with(prefix))
            }),
            method => described.contains(&format!("{method} {path}")),
        };
        assert!(is_described, "{method} {path} is served, not described");
    }
    for route in &described {
        let (method, path) = route.split_once(' ').context("a method and a path")?;
        let is_served = served.iter().any(|(served, its)| {
            let prefix = its.split('{').next().unwrap_or(its);
            (*served == method && its == path)
                // What follows a parameter with slashes is up to its function.
                || (*served == method && its == "/documents/{id}" && path.starts_with("/documents/")) || (*served == "ANY" && path.starts_with(prefix))
        });
        assert!(is_served, "{route} is described, not served");
    }

    let answer = app.get("/openapi.json", &[]).await?;
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert!(answer.success(200)? == description);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_generators_write_search() -> Outcome {
    let app = App::start().await?;
    app.ingest(vec![json!({ "id": "beach", "title": "Beach", "content": "The beach closes at 10 pm in summer." })])
        .await?;
    let clients = Clients::installed().await?;
    let found = "beach\n";
    let python = include_str!("clients/generated.py");
    assert_eq!(clients.python(python, &app.url(), &[]).await?, found);
    let typescript = include_str!("clients/generated.mjs");
    assert_eq!(clients.node(typescript, &app.url(), &[]).await?, found);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_keeps_to_its_description() -> Outcome {
    let contract = Contract::with(&[]).await?;
    let beach = json!({ "id": "beach", "title": "Beach", "content": "The beach closes at 10 pm in summer." });
    contract.app.ingest(vec![beach]).await?;
    contract.holds(None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_keeps_to_its_description_with_keys_and_tokens() -> Outcome {
    let signing = new_key()?;
    let issuer = issuer_with(&signing).await?;
    let url = issuer.url();
    let contract = Contract::with(&[
        ("AUTHORIZATION", "jwt+keys"),
        ("JWT_ISSUER", &url),
        ("JWT_AUDIENCE", "rappel"),
        ("JWT_TENANT_CLAIM", "org"),
    ])
    .await?;
    let key = key(&contract.app, &["--scope", "search,chat,write,admin"]).await?;
    store(&contract.app, &key, "beach", json!({})).await?;
    contract.holds(Some(&key)).await?;
    let scope = "rappel/read rappel/chat rappel/write rappel/admin";
    let claims = json!({ "org": "initech", "scope": scope, "exp": i64::from(i32::MAX) });
    let token = signed_with(&signing, &claims_of(&issuer, &claims)?)?;
    store(&contract.app, &token, "beach", json!({})).await?;
    contract.holds(Some(&token)).await
}

/// The product with all that its description mentions.
struct Contract {
    app: App,
    _queue: Imports,
    _model: LanguageModel,
}

impl Contract {
    async fn with(settings: &[(&str, &str)]) -> Result<Self> {
        let replies = vec![Reply::text(&["À 22 heures", " [1]."]); 20_000];
        let model = LanguageModel::replying(replies).await?;
        let settings = settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let variables = model.environment().into_iter().chain(settings).collect();
        let (app, queue) = App::with_imports_and(Pace::default(), variables).await?;
        let sql = app.sql().await?;
        sql.run("CREATE TABLE articles (id int PRIMARY KEY, title text, body text, author text, published bool)")
            .await?;
        Ok(Self {
            app,
            _queue: queue,
            _model: model,
        })
    }

    /// Sends requests that are made of the description: its examples, and each field at its limits and beyond. With
    /// `RAPPEL_CONTRACT_REQUESTS=500` also as many random ones of each operation.
    async fn holds(&self, token: Option<&str>) -> Outcome {
        let file = Assets::prepared()
            .await?
            .workspace
            .join("docs/openapi.json");
        let file = file.display().to_string();
        let mut variables = vec![("DESCRIPTION", file.as_str())];
        variables.extend(token.map(|token| ("TOKEN", token)));
        let clients = Clients::installed().await?;
        let script = include_str!("clients/contract.py");
        let printed = clients.python(script, &self.app.url(), &variables).await?;
        println!("{printed}");
        Ok(())
    }
}
