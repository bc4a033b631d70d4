//! `rappel up`: the whole API on this machine.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Args;
use local::{
    binaries::{self, Profile},
    gateway::{Gateway, Logs, Options},
};
use serde_json::{Value, json};

use crate::{
    search::excerpt,
    setup::{Setup, Target, note, threads},
};

/// Serve the API on this machine, with sample documents to try it on.
#[derive(Args)]
pub(crate) struct Up {
    /// The port to serve on.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Import no sample documents; they are imported only into an empty database anyway.
    #[arg(long)]
    no_samples: bool,
    #[command(flatten)]
    target: Target,
}

/// What the first search asks.
const QUESTION: &str = "Que faire si je me brûle en cuisinant ?";

/// The functions are built as this command was, so that they share what is compiled already.
const PROFILE: Profile = if cfg!(debug_assertions) {
    Profile::Dev
} else {
    Profile::Release
};

/// 60 documents in French and English, written for this project.
const SAMPLES: &str = include_str!("../samples.jsonl");

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let setup = self.target.prepare("").await?;
        let workspace = binaries::workspace()?;
        let template = workspace.join("template.yaml");
        let built =
            tokio::task::spawn_blocking(move || binaries::build(&workspace, PROFILE)).await??;
        let gateway = Gateway::start(Options {
            template,
            binaries: built,
            environment: environment(&setup),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)),
            max_sandboxes: 2 * threads(),
            idle: Duration::from_mins(5),
            logs: Logs::Inherit,
        })
        .await?;
        let served = serve(&gateway, self.no_samples, start).await;
        gateway.stop().await;
        setup.stop().await?;
        served
    }
}

async fn serve(gateway: &Gateway, no_samples: bool, start: Instant) -> anyhow::Result<()> {
    let client = reqwest::Client::new();
    let url = gateway.url();
    if !no_samples && is_empty(&client, &url).await? {
        import_samples(&client, &url).await?;
    }
    print_search(&client, &url).await?;
    print_routes(gateway, start.elapsed());
    interrupted().await?;
    note("stopping");
    Ok(())
}

/// What the template gives the functions on AWS.
fn environment(setup: &Setup) -> Vec<(String, String)> {
    let database = &setup.database;
    [
        ("DATABASE_URL", database.url.clone()),
        ("DATABASE_POOLER", database.pooler.to_string()),
        (
            "DATABASE_ADDRESS_FAMILY",
            database.address_family.to_string(),
        ),
        ("MODEL_DIR", setup.model.folder.display().to_string()),
        ("ORT_DYLIB_PATH", setup.model.library.display().to_string()),
        ("ORT_DISABLE_TELEMETRY", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

async fn is_empty(client: &reqwest::Client, url: &str) -> anyhow::Result<bool> {
    let page = answer(client.get(format!("{url}/documents?limit=1"))).await?;
    Ok(page["documents"].as_array().is_some_and(Vec::is_empty))
}

async fn import_samples(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let documents = SAMPLES
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<Vec<Value>, _>>()?;
    let count = documents.len();
    answer(
        client
            .post(format!("{url}/documents"))
            .json(&json!({ "documents": documents })),
    )
    .await?;
    note(&format!(
        "imported {count} sample documents through POST /documents"
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the search is the command's answer")]
async fn print_search(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let response = answer(
        client
            .post(format!("{url}/search"))
            .json(&json!({ "query": QUESTION, "limit": 3 })),
    )
    .await?;
    println!("\n{QUESTION}");
    for (rank, hit) in (1..).zip(response["hits"].as_array().into_iter().flatten()) {
        let text = |field: &str| hit[field].as_str().unwrap_or_default();
        let distance = hit["distance"].as_f64().unwrap_or_default();
        println!(
            "{rank}. {}  ({}, distance {distance:.3})",
            text("title"),
            text("document_id")
        );
        println!("   {}", excerpt(text("content")));
    }
    println!(
        "answered in {:.1} ms\n",
        response["took_ms"]["total"].as_f64().unwrap_or_default()
    );
    Ok(())
}

#[expect(
    clippy::print_stdout,
    reason = "the addresses are the command's answer"
)]
fn print_routes(gateway: &Gateway, took: Duration) {
    let url = gateway.url();
    println!(
        "Serving on {url} after {:.1} s; Ctrl-C stops everything.",
        took.as_secs_f64()
    );
    for route in gateway.routes() {
        println!("  {:<6} {url}{}", route.method, route.path);
    }
    println!("\nTry:");
    println!("  curl '{url}/search?q=how+do+I+renew+a+library+card&limit=3'");
    println!(
        "  curl {url}/search -H 'content-type: application/json' -d '{{\"query\": \"congés\", \"limit\": 2}}'"
    );
    println!("  curl '{url}/health?deep=true'");
}

/// Sends a request and reads its JSON; any other answer than success is an error.
async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request
        .send()
        .await
        .context("the gateway does not answer")?;
    let status = response.status();
    let body = response.text().await?;
    ensure!(status.is_success(), "the API answered {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
