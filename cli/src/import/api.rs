//! `rappel import --api URL SOURCE`: watches an import on the API's queue to its end.

use std::{
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    patience::{is_undone, patiently, pause, waiting},
    remote::{Api, ApiResponse, Key, address},
    stop::{Reported, Stop, is_interrupted},
    terminal::{self, note},
};

/// How often to poll the import.
const LOOK: Duration = Duration::from_millis(500);

/// How often to poll it after a poll has met a limit of requests, which other requests share.
const RARE_LOOK: Duration = Duration::from_secs(5);

/// How many polls in a row may fail before the command gives up; the import continues.
const FAILED_LOOKS: u32 = 60;

/// The most failures to print.
const SHOWN: usize = 20;

/// Posts the import and watches it; a failed import is an error.
pub(super) async fn run(url: &str, key: &Key, source: &Path, stop: &Stop) -> anyhow::Result<()> {
    let url = address(url);
    let api = key.api()?;
    let body = json!({ "source": source_address(source)? });
    let imports = format!("{url}/imports");
    let post = || api.request(Method::POST, &imports).json(&body);
    // A signal ends a wait, but not the request: the import would go on under an id that nobody knows.
    let stoppable = async |why, wait| stop.or(pause(why, wait)).await;
    let import = patiently(&api, &url, post, is_undone, stoppable).await?;
    let import = import.success()?;
    let id = import["id"].as_str().context("the import has no id")?;
    note(&format!("import {id}"));
    let address = format!("{url}/imports/{id}");
    let watched = stop.or(watch(&api, &address)).await;
    if is_interrupted(&watched) {
        note(&goes_on(&address));
    }
    let import = watched?;
    report(&import)?;
    ensure!(import["state"] != "failed", "the import failed");
    match import["documents"]["failed"].as_u64() {
        Some(0) | None => Ok(()),
        Some(_) => Err(Reported(3).into()),
    }
}

/// `s3://bucket/key` unchanged, and a local file as a path for the laptop's API.
fn source_address(source: &Path) -> anyhow::Result<String> {
    let text = source.to_str().context("the source's name is not UTF-8")?;
    if text.starts_with("s3://") {
        return Ok(text.to_owned());
    }
    let path = source
        .canonicalize()
        .with_context(|| format!("{text} is neither s3://bucket/key nor a file that is there"))?;
    Ok(format!("file://{}", path.display()))
}

async fn watch(api: &Api, url: &str) -> anyhow::Result<Value> {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    let (mut failed, mut look) = (0, LOOK);
    loop {
        let wait = match ask(api, api.request(Method::GET, url), url).await {
            Ok(import) => {
                failed = 0;
                show(&bar, &import);
                if ["done", "failed"].iter().any(|end| import["state"] == *end) {
                    bar.finish_and_clear();
                    return Ok(import);
                }
                look
            }
            Err(Unanswered { why, wait }) => {
                failed += 1;
                let Some(wait) = wait.filter(|_| failed < FAILED_LOOKS) else {
                    return Err(why.context(goes_on(url)));
                };
                if wait > LOOK {
                    bar.suspend(|| note(&waiting(&why, wait)));
                    look = RARE_LOOK;
                }
                wait
            }
        };
        sleep(wait).await;
    }
}

fn goes_on(url: &str) -> String {
    format!("the import goes on: look at {url}")
}

fn show(bar: &ProgressBar, import: &Value) {
    if let Some(total) = import["bytes"]["total"].as_u64() {
        bar.set_length(total);
    }
    bar.set_position(import["bytes"]["done"].as_u64().unwrap_or_default());
    bar.set_message(format!(
        "{} documents, {}/s, {} failed",
        import["documents"]["done"], import["documents_per_second"], import["documents"]["failed"]
    ));
}

fn report(import: &Value) -> io::Result<()> {
    let mut out = terminal::out();
    let documents = &import["documents"];
    writeln!(
        out,
        "{} documents, {} of them unchanged; {} failed; {} documents a second",
        documents["done"],
        documents["unchanged"],
        documents["failed"],
        import["documents_per_second"]
    )?;
    let failures = import["failures"].as_array();
    let failures = failures.map(Vec::as_slice).unwrap_or_default();
    for failure in failures.iter().take(SHOWN) {
        let place = match (&failure["line"], &failure["offset"]) {
            (Value::Number(line), _) => format!("line {line}: "),
            (_, Value::Number(offset)) => format!("byte {offset}: "),
            _ => String::new(),
        };
        let id = failure["document_id"]
            .as_str()
            .map(|id| format!("{id}: "))
            .unwrap_or_default();
        writeln!(
            out,
            "  {place}{id}{}",
            failure["reason"].as_str().unwrap_or_default()
        )?;
    }
    if failures.len() > SHOWN {
        writeln!(
            out,
            "  and more: GET /imports/{}",
            import["id"].as_str().unwrap_or_default()
        )?;
    }
    Ok(())
}

/// Why a request failed, and when a retry may succeed.
struct Unanswered {
    why: anyhow::Error,
    wait: Option<Duration>,
}

async fn ask(api: &Api, request: RequestBuilder, url: &str) -> Result<Value, Unanswered> {
    let response = ApiResponse::of(api, request, url).await;
    let response = response.map_err(|why| Unanswered {
        why,
        wait: Some(LOOK),
    })?;
    let wait = match response.status {
        StatusCode::TOO_MANY_REQUESTS => response.wait(1),
        status => status.is_server_error().then_some(LOOK),
    };
    response.success().map_err(|why| Unanswered { why, wait })
}
