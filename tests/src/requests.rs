//! HTTP requests to a running product, and frequent operations.

use anyhow::{Context, Result};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Url};
use serde_json::{Value, json};

use crate::{Answer, App, sample};

impl App {
    /// `GET path?query`; the query is encoded here, the path is not (see [`document_path`]).
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer> {
        let mut url = self.at(path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.answer(self.client.get(url)).await
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.answer(self.client.post(self.at(path)?).json(&body))
            .await
    }

    /// The same with a header.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn post_with(&self, header: (&str, &str), path: &str, body: Value) -> Result<Answer> {
        let request = self.client.post(self.at(path)?).json(&body);
        self.answer(request.header(header.0, header.1)).await
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn put(&self, path: &str, body: Value) -> Result<Answer> {
        self.answer(self.client.put(self.at(path)?).json(&body))
            .await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn delete(&self, path: &str) -> Result<Answer> {
        self.answer(self.client.delete(self.at(path)?)).await
    }

    /// Any method with any body.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Vec<u8>,
    ) -> Result<Answer> {
        let request = self.client.request(method, self.at(path)?);
        self.answer(request.header("content-type", content_type).body(body))
            .await
    }

    /// Any method with any headers and any body.
    ///
    /// # Errors
    /// When there is no response, whatever its status.
    pub async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer> {
        let mut request = self.client.request(method, self.at(path)?).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request).await
    }

    /// Ingests documents and returns the outcome of each.
    ///
    /// # Errors
    /// When they are not all accepted.
    pub async fn ingest(&self, documents: Vec<Value>) -> Result<Vec<Value>> {
        let body = self
            .post("/documents", json!({ "documents": documents }))
            .await?
            .success(200)?;
        Ok(body["documents"]
            .as_array()
            .context("the response has no outcome per document")?
            .clone())
    }

    /// Ingests the sample documents with these ids.
    ///
    /// # Errors
    /// When there is no such sample, or they are not all accepted.
    pub async fn ingest_samples(&self, ids: &[&str]) -> Result<()> {
        let documents = ids.iter().map(|id| sample(id)).collect::<Result<_>>()?;
        self.ingest(documents).await?;
        Ok(())
    }

    /// The hits of a search, nearest first.
    ///
    /// # Errors
    /// When the search is refused or fails.
    pub async fn hits(&self, request: Value) -> Result<Vec<Value>> {
        let body = self.post("/search", request).await?.success(200)?;
        Ok(body["hits"]
            .as_array()
            .context("the response has no hits")?
            .clone())
    }

    pub(crate) fn at(&self, path: &str) -> Result<Url> {
        let url = format!("{}{path}", self.url());
        Url::parse(&url).with_context(|| format!("{url} is not a URL"))
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Answer> {
        Answer::read(
            request
                .send()
                .await
                .context("sending a request to the gateway")?,
        )
        .await
    }
}

/// The path of the document called `id`, percent-encoded.
#[must_use]
pub fn document_path(id: &str) -> String {
    format!("/documents/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}
