//! `rappel up`: the whole API on this machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use local::{
    aws::Server,
    gateway::{Gateway, Logs},
};
use serde_json::{Value, json};
use shared::{config::LanguageModelConfig, doctor};

use crate::{
    api,
    queue::Place,
    search::excerpt,
    setup::{Target, note},
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

/// 60 documents in French and English, written for this project.
const SAMPLES: &str = include_str!("../samples.jsonl");

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let start = Instant::now();
        let setup = self.target.prepare("").await?;
        let queue = Place::choose()?;
        let gateway = api::serve(&setup, self.port, Logs::Inherit, Some(&queue)).await?;
        let served = serve(
            &gateway,
            self.no_samples,
            start,
            queue.serve(setup.database.clone()),
        )
        .await;
        gateway.stop().await;
        setup.stop().await?;
        served
    }
}

/// Serves until it is told to stop. The queue is started only when everything else is there: its server
/// takes a second, and on its first start a download.
async fn serve(
    gateway: &Gateway,
    no_samples: bool,
    start: Instant,
    queue: impl Future<Output = Option<Server>> + Send + 'static,
) -> anyhow::Result<()> {
    let client = shared::client::builder().build()?;
    let url = gateway.url();
    if !no_samples && is_empty(&client, &url).await? {
        import_samples(&client, &url).await?;
    }
    print_search(&client, &url).await?;
    print_routes(gateway, start.elapsed());
    let queue = tokio::spawn(queue);
    let asking = tokio::spawn(ask_language_model());
    interrupted().await?;
    note("stopping");
    asking.abort();
    queue.abort();
    Ok(())
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

/// Says of the language model, if one is set, whether it answers, and if not which setting would mend that.
async fn ask_language_model() {
    let check = match LanguageModelConfig::from_env() {
        Ok(None) => return,
        Ok(Some(config)) => doctor::language_model(Some(&config)).await,
        Err(error) => return note(&format!("warning: {error}")),
    };
    match check.remedy {
        None => note(&format!("the language model {}", check.found)),
        Some(remedy) => note(&format!("warning: {}: {remedy}", check.found)),
    }
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
