//! `rappel up`: the whole API on this machine.

use std::{
    io::Write as _,
    path::PathBuf,
    time::{Duration, Instant},
};

use access::{KeyRequest, Mode, Scope};
use anyhow::{Context as _, ensure};
use clap::Args;
use database::Database;
use gateway::{Gateway, Logs, Origin};
use language_model::LanguageModelConfig;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::{Value, json};
use servers::aws::Server;

use crate::{
    api, browser, doctor, keys, migrate,
    queue::QueueConfig,
    search::excerpt,
    setup::{SchemaArgs, Setup, Target},
    stop::Stop,
    terminal::{self, note},
};

/// Serve the API on this machine, with sample documents.
#[derive(Args)]
pub(crate) struct Up {
    /// The port to serve on.
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// Skip the sample documents, which are only imported into an empty database.
    #[arg(long)]
    no_samples: bool,
    /// The origin of a web page that may send requests, such as `https://app.example`, besides those of this machine;
    /// repeatable.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<Origin>,
    /// Open the console in a browser.
    #[arg(long)]
    open: bool,
    /// The folder whose files `POST /imports` may read, as `file:///path`; by default none.
    #[arg(long, value_name = "FOLDER")]
    import_root: Option<PathBuf>,
    /// Who may send requests: open (anybody on this machine), keys, jwt or jwt+keys; tokens are those of `JWT_ISSUER` and
    /// `JWT_AUDIENCE`. With keys, one that may do everything is made and printed.
    #[arg(long, default_value = "open", value_parser = mode)]
    auth: Mode,
    #[command(flatten)]
    schema: SchemaArgs,
    #[command(flatten)]
    target: Target,
}

/// The question of the first search.
const QUESTION: &str = "Que faire si je me brûle en cuisinant ?";

/// The sample document that answers it.
const ANSWERING: &str = "sante-brulure";

/// Thirty days.
const KEY_SECONDS: i64 = 30 * 24 * 60 * 60;

/// 60 documents in French and English, written for this project.
const SAMPLES: &str = include_str!("../samples.jsonl");

impl Up {
    pub(crate) async fn run(self, stop: &Stop) -> anyhow::Result<()> {
        let start = Instant::now();
        let place = QueueConfig::choose(self.import_root.as_deref())?;
        let mut setup = stop.or(self.target.prepare("")).await?;
        migrate::until(&mut setup, &self.schema, stop).await?;
        stop.or(setup.build_index()).await?;
        let served = self.serve(place, &setup, start, stop).await;
        setup.stop().await?;
        served
    }

    async fn serve(
        self,
        place: QueueConfig,
        setup: &Setup,
        start: Instant,
        stop: &Stop,
    ) -> anyhow::Result<()> {
        let origins = self.allow_origin;
        let key = if self.auth.takes_keys() {
            Some(make_key(setup).await?)
        } else {
            None
        };
        let gateway = api::serve(
            setup,
            self.port,
            Logs::Inherit,
            Some(&place),
            origins,
            self.auth,
        );
        let gateway = stop.or(gateway).await?;
        let queue = place.serve(setup.database.clone());
        let shown = Shown {
            samples: !self.no_samples && (key.is_some() || self.auth == Mode::Open),
            open: self.auth == Mode::Open,
            key,
            browser: self.open,
            // One that was given may hold a password.
            database: setup.embedded.then(|| setup.database.url.clone()),
        };
        let served = serve(&gateway, shown, start, queue, stop).await;
        gateway.stop().await;
        served
    }
}

/// What is shown once it serves.
struct Shown {
    /// Sample documents, if there are no others.
    samples: bool,
    /// Whether anybody may send requests.
    open: bool,
    /// The key that opens the API, if it asks for one.
    key: Option<String>,
    /// The console in a browser.
    browser: bool,
    /// The URL of the database, if it is this process's own.
    database: Option<String>,
}

/// Serves until stopped. The queue starts last: its server takes a second, and on its first start a download.
async fn serve(
    gateway: &Gateway,
    shown: Shown,
    start: Instant,
    queue: impl Future<Output = Option<Server>> + Send + 'static,
    stop: &Stop,
) -> anyhow::Result<()> {
    let client = client(shown.key.as_deref())?;
    let url = gateway.url();
    let show = async {
        if shown.samples && is_empty(&client, &url).await? {
            import_samples(&client, &url).await?;
        }
        if shown.is_asked() && has_samples(&client, &url).await? {
            print_search(&client, &url).await?;
        }
        Ok(())
    };
    stop.or(show).await?;
    print_routes(gateway, start.elapsed(), shown.database.as_deref())?;
    if let Some(key) = &shown.key {
        let mut out = terminal::out();
        writeln!(
            out,
            "\nThe API key, for 30 days; more with `rappel keys create`:\n  {key}"
        )?;
        writeln!(
            out,
            "  curl '{url}/search?q=library&limit=3' -H 'authorization: Bearer {key}'"
        )?;
    }
    if shown.browser {
        browser::open(&format!("{url}/"));
    }
    let queue = tokio::spawn(queue);
    let asking = tokio::spawn(ask_language_model());
    stop.requested().await;
    note("stopping");
    asking.abort();
    queue.abort();
    Ok(())
}

impl Shown {
    /// Whether this command may send requests.
    fn is_asked(&self) -> bool {
        self.key.is_some() || self.open
    }
}

/// The modes that this machine knows.
fn mode(text: &str) -> Result<Mode, String> {
    match text.parse() {
        Ok(Mode::Iam) | Err(_) => Err("must be open, keys, jwt or jwt+keys".to_owned()),
        Ok(mode) => Ok(mode),
    }
}

/// Makes a key that may do everything.
async fn make_key(setup: &Setup) -> anyhow::Result<String> {
    let request = KeyRequest {
        name: "rappel up".to_owned(),
        scopes: Scope::ALL.iter().map(ToString::to_string).collect(),
        expires_in: Some(KEY_SECONDS),
        ..KeyRequest::default()
    };
    let database = Database::new(&setup.database)?;
    let created = keys::make(&database, request).await;
    database.close().await;
    Ok(created?.key)
}

/// A client that sends the key with each request.
fn client(key: Option<&str>) -> anyhow::Result<reqwest::Client> {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        headers.insert(AUTHORIZATION, format!("Bearer {key}").try_into()?);
    }
    Ok(http_client::builder().default_headers(headers).build()?)
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

/// Whether the sample that answers the question is loaded.
async fn has_samples(client: &reqwest::Client, url: &str) -> anyhow::Result<bool> {
    let answering = client.head(format!("{url}/documents/{ANSWERING}"));
    let response = answering.send().await;
    let response = response.context("the gateway does not respond")?;
    Ok(response.status().is_success())
}

async fn print_search(client: &reqwest::Client, url: &str) -> anyhow::Result<()> {
    let response = answer(
        client
            .post(format!("{url}/search"))
            .json(&json!({ "query": QUESTION, "limit": 3 })),
    )
    .await?;
    let mut out = terminal::out();
    writeln!(out, "\n{QUESTION}")?;
    for (rank, hit) in (1..).zip(response["hits"].as_array().into_iter().flatten()) {
        let text = |field: &str| hit[field].as_str().unwrap_or_default();
        let relevance = 100.0 * hit["relevance"].as_f64().unwrap_or_default();
        writeln!(
            out,
            "{rank}. {}  ({}, relevance {relevance:.0} %)",
            text("title"),
            text("document_id")
        )?;
        writeln!(out, "   {}", excerpt(text("content")))?;
    }
    let took = response["took_ms"]["total"].as_f64().unwrap_or_default();
    writeln!(out, "answered in {took:.1} ms\n")?;
    Ok(())
}

fn print_routes(gateway: &Gateway, took: Duration, database: Option<&str>) -> anyhow::Result<()> {
    let url = gateway.url();
    let mut out = terminal::out();
    writeln!(
        out,
        "Serving on {url} after {:.1} s; Ctrl-C stops everything.",
        took.as_secs_f64()
    )?;
    writeln!(out, "Console: {url}/")?;
    for route in gateway.routes() {
        writeln!(out, "  {:<6} {url}{}", route.method, route.path)?;
    }
    if let Some(database) = database {
        writeln!(
            out,
            "\nThe database, for psql and `rappel follow NAME --database-url URL`:\n  {database}"
        )?;
    }
    writeln!(
        out,
        "\nTry:
  curl '{url}/search?q=how+do+I+renew+a+library+card&limit=3'
  curl {url}/search -H 'content-type: application/json' -d '{{\"query\": \"congés\", \"limit\": 2}}'
  curl '{url}/health?deep=true'"
    )?;
    Ok(())
}

/// Checks the language model, if one is configured, and prints the finding.
async fn ask_language_model() {
    let check = match LanguageModelConfig::from_env() {
        Ok(None) => return,
        Ok(Some(config)) => doctor::examine_endpoint(Some(&config)).await,
        Err(error) => return note(&format!("warning: {error}")),
    };
    match check.remedy {
        None => note(&format!("the language model {}", check.found)),
        Some(remedy) => note(&format!("warning: {}: {remedy}", check.found)),
    }
}

/// Sends a request and reads its JSON; any status but success is an error.
async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
    let response = request
        .send()
        .await
        .context("the gateway does not respond")?;
    let status = response.status();
    let body = response.text().await?;
    ensure!(status.is_success(), "the API responded {status}: {body}");
    Ok(serde_json::from_str(&body)?)
}
