//! `rappel import --api URL FOLDER`: files are read here, and their documents are posted.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use document_store::{Batch, Prepared};
use indicatif::ProgressBar;
use reqwest::{Client, Response, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    Imported,
    files::{Files, Item},
    gone::Present,
    place::Place,
    tally::{Replaced, Tally},
};

/// Bytes of the documents of a request, of which the API takes 6 MB.
const BYTES: usize = 4 * 1024 * 1024;

/// How often a request is sent that the API has no time for.
const ATTEMPTS: u32 = 6;

/// Posts the documents of files to an API.
pub(super) struct Poster<'a> {
    client: Client,
    api: &'a str,
    tally: &'a Tally,
    bar: &'a ProgressBar,
    batch: Vec<(Place, String)>,
    bytes: usize,
    /// Where each id was seen last, with its document's hash.
    seen: HashMap<String, (Place, Vec<u8>)>,
}

/// A line as the API takes it: it refuses keys that are none of a document's, which files may have.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow, alias = "_id")]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    title: Option<&'a RawValue>,
    #[serde(borrow, alias = "text")]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// Posts all documents of files, and deletes those of files that are gone.
pub(super) async fn run(
    api: &str,
    mut files: Files,
    present: Option<Present>,
    tally: Arc<Tally>,
    bar: ProgressBar,
) -> anyhow::Result<Imported> {
    let start = Instant::now();
    let mut poster = Poster {
        client: http_client::builder().build()?,
        api: api.trim_end_matches('/'),
        tally: &tally,
        bar: &bar,
        batch: Vec::new(),
        bytes: 0,
        seen: HashMap::new(),
    };
    loop {
        // Reading waits for a process.
        let (item, rest) = spawn_blocking(move || (files.next(), files)).await?;
        files = rest;
        let Some(item) = item else { break };
        poster.add(item).await?;
    }
    poster.send().await?;
    if let Some(present) = present {
        poster.delete(&present).await?;
    }
    bar.finish_and_clear();
    Ok(Imported {
        tally,
        loading: start.elapsed(),
        indexing: Duration::ZERO,
        interrupted: None,
    })
}

impl Poster<'_> {
    async fn add(&mut self, item: Item) -> anyhow::Result<()> {
        let read = item.line.and_then(|line| {
            let document = Prepared::read(&line)?;
            let line = known(&line).map_err(|error| error.to_string())?;
            Ok((document, line))
        });
        let (document, line) = match read {
            Ok(read) => read,
            Err(reason) => {
                self.tally.bad(item.place, reason, self.bar);
                return Ok(());
            }
        };
        let seen = (item.place.clone(), document.hash().to_vec());
        if let Some((place, hash)) = self.seen.insert(document.id().to_owned(), seen) {
            if hash == document.hash() {
                self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            // Two documents of one id are refused in one request.
            self.send().await?;
            self.tally.stored.fetch_sub(1, Ordering::Relaxed);
            let replaced = Replaced {
                id: document.id().to_owned(),
                place,
                by: item.place.clone(),
            };
            self.tally.replaced(replaced, self.bar);
        }
        if self.bytes + line.len() > BYTES || self.batch.len() == Batch::MAX_DOCUMENTS {
            self.send().await?;
        }
        self.bytes += line.len();
        self.batch.push((item.place, line));
        Ok(())
    }

    async fn send(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        let batch = mem::take(&mut self.batch);
        if batch.is_empty() {
            return Ok(());
        }
        let lines: Vec<&str> = batch.iter().map(|(_, line)| line.as_str()).collect();
        let body = format!("{{\"documents\":[{}]}}", lines.join(","));
        let url = format!("{}/documents", self.api);
        let response = self
            .patiently(|client| client.post(&url).header("content-type", "application/json").body(body.clone()))
            .await?;
        let status = response.status();
        let text = response.text().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!("the API answered {status}: {text}");
        }
        let answer: Value = serde_json::from_str(&text).context("the API did not answer with JSON")?;
        for outcome in answer["documents"].as_array().into_iter().flatten() {
            let chunks = outcome["chunks"].as_u64().unwrap_or_default();
            if outcome["status"] == "unchanged" {
                self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
            } else {
                self.tally.stored.fetch_add(1, Ordering::Relaxed);
                self.tally.chunks.fetch_add(chunks, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Sends a request again while the API is away or overloaded.
    async fn patiently(&self, request: impl Fn(&Client) -> reqwest::RequestBuilder) -> anyhow::Result<Response> {
        let mut attempt = 1;
        loop {
            let response = request(&self.client).send().await.context("the API does not answer")?;
            let is_passing = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS].contains(&response.status());
            if !is_passing || attempt == ATTEMPTS {
                return Ok(response);
            }
            let header = response.headers().get(RETRY_AFTER);
            let seconds = header.and_then(|value| value.to_str().ok()?.parse().ok());
            sleep(Duration::from_secs(seconds.unwrap_or(1).clamp(1, 60))).await;
            attempt += 1;
        }
    }

    async fn delete(&self, present: &Present) -> anyhow::Result<()> {
        for folder in present.folders() {
            let stored = self.stored(folder).await?;
            for id in present.gone(folder, stored)? {
                let mut url = reqwest::Url::parse(&format!("{}/documents", self.api))?;
                url.path_segments_mut().ok().context("the API's URL has a path")?.push(&id);
                let response = self.patiently(|client| client.delete(url.clone())).await?;
                let status = response.status();
                if !status.is_success() && status != StatusCode::NOT_FOUND {
                    bail!("the API answered {status} when {id} was to be deleted");
                }
                self.tally.deleted.fetch_add(u64::from(status.is_success()), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// The ids that are stored for a folder, with their paths.
    async fn stored(&self, folder: &str) -> anyhow::Result<Vec<(String, String)>> {
        let mut stored = Vec::new();
        let filter = json!({ "folder": folder }).to_string();
        let mut cursor: Option<String> = None;
        loop {
            let mut url = reqwest::Url::parse(&format!("{}/documents?limit=100", self.api))?;
            url.query_pairs_mut().append_pair("filter", &filter);
            if let Some(cursor) = &cursor {
                url.query_pairs_mut().append_pair("cursor", cursor);
            }
            let response = self.patiently(|client| client.get(url.clone())).await?;
            let page: Value = response.error_for_status()?.json().await?;
            for document in page["documents"].as_array().into_iter().flatten() {
                if let (Some(id), Some(path)) = (document["id"].as_str(), document["metadata"]["path"].as_str()) {
                    stored.push((id.to_owned(), path.to_owned()));
                }
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(stored),
            }
        }
    }
}

/// A line of JSON with the keys of a document alone, numbers as they are written.
fn known(line: &[u8]) -> serde_json::Result<String> {
    let known: Known<'_> = serde_json::from_slice(line)?;
    let fields = [
        ("id", known.id),
        ("title", known.title),
        ("content", known.content),
        ("metadata", known.metadata),
    ];
    let fields = fields.into_iter().filter_map(|(key, value)| Some(format!("\"{key}\":{}", value?)));
    Ok(format!("{{{}}}", fields.collect::<Vec<_>>().join(",")))
}
