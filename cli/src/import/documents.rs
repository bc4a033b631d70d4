//! `rappel import --api URL FOLDER`: reads files here, and posts their documents.

use std::{collections::HashMap, mem, slice, sync::atomic::Ordering};

use anyhow::{Context as _, ensure};
use document_store::Prepared;
use indicatif::ProgressBar;
use reqwest::{Method, RequestBuilder, StatusCode, Url, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::{task::spawn_blocking, time::sleep};

use super::{
    files::Item,
    gone::StoredPage,
    input::Documents,
    place::Place,
    tally::{Replaced, Tally},
};
use crate::{
    patience::{is_refused, patiently},
    remote::{Api, ApiResponse, Key, address},
    terminal::note,
};

/// Documents, and bytes of their JSON, of a request: API Gateway waits 30 s for an answer, and a function embeds a few tens
/// of passages a second. A longer document is posted alone.
const DOCUMENTS: usize = 20;
const BYTES: usize = 200_000;

/// After this many requests in a row that were in vain, the import stops.
const IN_VAIN: u32 = 3;

/// Posts the documents of files to an API.
struct Poster<'a> {
    api: Api,
    address: String,
    tally: &'a Tally,
    bar: &'a ProgressBar,
    batch: Vec<Posted>,
    bytes: usize,
    /// Requests in a row that were in vain.
    in_vain: u32,
    /// By id.
    seen: HashMap<String, Seen>,
}

/// A document to post.
struct Posted {
    place: Place,
    id: String,
    json: String,
}

/// Where an id was seen last.
struct Seen {
    place: Place,
    hash: Vec<u8>,
    was_unchanged: bool,
}

/// The metadata of a line, with numbers as they are written.
#[derive(Deserialize)]
struct Known<'a> {
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

/// Posts all documents of files, and deletes those of files that are gone.
pub(super) async fn run(url: &str, key: &Key, documents: Documents) -> anyhow::Result<()> {
    let Documents {
        mut files,
        bar,
        tally,
        present,
    } = documents;
    let mut poster = Poster {
        api: key.api()?,
        address: address(url),
        tally: &tally,
        bar: &bar,
        batch: Vec::new(),
        bytes: 0,
        in_vain: 0,
        seen: HashMap::new(),
    };
    let gone = match &present {
        Some(present) => {
            let page = async |folder: &str, cursor| poster.stored(folder, cursor).await;
            present.gone_from(page).await?
        }
        None => Vec::new(),
    };
    loop {
        // Reading waits for a child process.
        let (item, rest) = spawn_blocking(move || (files.next(), files)).await?;
        files = rest;
        let Some(item) = item else { break };
        poster.add(item).await?;
    }
    poster.send().await?;
    poster.delete(&gone).await
}

impl Poster<'_> {
    async fn add(&mut self, item: Item) -> anyhow::Result<()> {
        let read = item.line.and_then(|line| {
            let document = Prepared::read(&line)?;
            let json = json(&document, &line).map_err(|error| error.to_string())?;
            Ok((document, json))
        });
        let (document, json) = match read {
            Ok(read) => read,
            Err(reason) => {
                self.tally.bad(item.place, reason, self.bar);
                return Ok(());
            }
        };
        let id = document.id().to_owned();
        if self
            .seen
            .get(&id)
            .is_some_and(|seen| seen.hash == document.hash())
        {
            self.tally.unchanged.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        if self.seen.contains_key(&id) {
            // Two documents of one id are refused in one request.
            self.send().await?;
        }
        let seen = Seen {
            place: item.place.clone(),
            hash: document.hash().to_vec(),
            was_unchanged: false,
        };
        if let Some(earlier) = self.seen.insert(id.clone(), seen) {
            self.replace(&id, earlier, &item.place);
        }
        if self.bytes + json.len() > BYTES || self.batch.len() == DOCUMENTS {
            self.send().await?;
        }
        self.bytes += json.len();
        self.batch.push(Posted {
            place: item.place,
            id,
            json,
        });
        Ok(())
    }

    /// Uncounts a document that another one has replaced.
    fn replace(&self, id: &str, earlier: Seen, by: &Place) {
        let counted = if earlier.was_unchanged {
            &self.tally.unchanged
        } else {
            &self.tally.stored
        };
        counted.fetch_sub(1, Ordering::Relaxed);
        let replaced = Replaced {
            id: id.to_owned(),
            place: earlier.place,
            by: by.clone(),
        };
        self.tally.replaced(replaced, self.bar);
    }

    /// Posts the batch; if the API refuses it, each document alone, so that the valid ones are stored.
    async fn send(&mut self) -> anyhow::Result<()> {
        self.bytes = 0;
        let batch = mem::take(&mut self.batch);
        if batch.is_empty() || self.post(&batch).await?.is_none() {
            return Ok(());
        }
        for document in batch {
            if let Some(reason) = self.post(slice::from_ref(&document)).await? {
                self.seen.remove(&document.id);
                self.tally.bad(document.place, reason, self.bar);
            }
        }
        Ok(())
    }

    /// Posts documents and counts them; the reason if the API refuses one.
    async fn post(&mut self, batch: &[Posted]) -> anyhow::Result<Option<String>> {
        let documents: Vec<&str> = batch
            .iter()
            .map(|document| document.json.as_str())
            .collect();
        let body = format!("{{\"documents\":[{}]}}", documents.join(","));
        let url = format!("{}/documents", self.address);
        let post = || {
            let request = self.api.request(Method::POST, &url);
            request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone())
        };
        let answer = self.patiently(post).await?;
        if is_passing(&answer) {
            self.in_vain += 1;
            let refusal = answer.refusal();
            ensure!(
                self.in_vain < IN_VAIN,
                "{IN_VAIN} requests in a row were in vain: {refusal}"
            );
            return Ok(Some(refusal.to_string()));
        }
        self.in_vain = 0;
        if [
            StatusCode::UNPROCESSABLE_ENTITY,
            StatusCode::PAYLOAD_TOO_LARGE,
        ]
        .contains(&answer.status)
        {
            return Ok(Some(answer.refusal().to_string()));
        }
        let answer = answer.success()?;
        let outcomes = answer["documents"]
            .as_array()
            .context("the API's answer does not list what it stored")?;
        for (document, outcome) in batch.iter().zip(outcomes) {
            let is_unchanged = outcome["status"] == "unchanged";
            let counted = if is_unchanged {
                &self.tally.unchanged
            } else {
                &self.tally.stored
            };
            counted.fetch_add(1, Ordering::Relaxed);
            if !is_unchanged {
                let chunks = outcome["chunks"].as_u64().unwrap_or_default();
                self.tally.chunks.fetch_add(chunks, Ordering::Relaxed);
            }
            if let Some(seen) = self.seen.get_mut(&document.id) {
                seen.was_unchanged = is_unchanged;
            }
        }
        Ok(None)
    }

    /// Sends a request, again while the API is overloaded or its database unavailable.
    async fn patiently(&self, request: impl Fn() -> RequestBuilder) -> anyhow::Result<ApiResponse> {
        let pause = async |why: String, wait| {
            self.bar.suspend(|| note(&why));
            sleep(wait).await;
            anyhow::Ok(())
        };
        patiently(&self.api, &self.address, request, is_passing, pause).await
    }

    async fn delete(&self, ids: &[String]) -> anyhow::Result<()> {
        for id in ids {
            let mut url = Url::parse(&format!("{}/documents", self.address))?;
            url.path_segments_mut()
                .ok()
                .context("the API's URL has a path")?
                .push(id);
            let answer = self
                .patiently(|| self.api.request(Method::DELETE, url.as_str()))
                .await?;
            let is_deleted = answer.status.is_success();
            if !is_deleted && answer.status != StatusCode::NOT_FOUND {
                return Err(answer.refusal().context(format!("deleting {id}")));
            }
            self.tally
                .deleted
                .fetch_add(u64::from(is_deleted), Ordering::Relaxed);
        }
        Ok(())
    }

    /// A page of the documents that are stored for a folder.
    async fn stored(&self, folder: &str, cursor: Option<String>) -> anyhow::Result<StoredPage> {
        let filter = serde_json::json!({ "folder": folder }).to_string();
        let mut url = Url::parse(&format!(
            "{}/documents?limit=100&count=none&metadata_fields=path",
            self.address
        ))?;
        url.query_pairs_mut().append_pair("filter", &filter);
        if let Some(cursor) = &cursor {
            url.query_pairs_mut().append_pair("cursor", cursor);
        }
        let page = self
            .patiently(|| self.api.request(Method::GET, url.as_str()))
            .await?
            .success()?;
        let documents = page["documents"].as_array().into_iter().flatten();
        let stored = documents.filter_map(|document| {
            let (id, path) = (&document["id"], &document["metadata"]["path"]);
            Some((id.as_str()?.to_owned(), path.as_str()?.to_owned()))
        });
        Ok(StoredPage {
            documents: stored.collect(),
            next: page["next_cursor"].as_str().map(str::to_owned),
        })
    }
}

/// Whether the same request may succeed later, or each of its documents alone.
fn is_passing(answer: &ApiResponse) -> bool {
    let is_late = [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(&answer.status);
    is_refused(answer) || is_late
}

/// A document as the API accepts it: without further keys that a line may have.
fn json(document: &Prepared, line: &[u8]) -> serde_json::Result<String> {
    let known: Known<'_> = serde_json::from_slice(line)?;
    let text = serde_json::to_string::<str>;
    Ok(format!(
        r#"{{"id":{},"title":{},"content":{},"metadata":{}}}"#,
        text(document.id())?,
        text(document.title())?,
        text(document.content())?,
        known.metadata.map_or("{}", RawValue::get),
    ))
}
