//! A response to a request.

use anyhow::{Context, Result, ensure};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// A complete HTTP response.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

impl Answer {
    pub(crate) async fn read(response: reqwest::Response) -> Result<Self> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response
                .text()
                .await
                .context("reading the body of a response")?,
        })
    }

    /// The header `name`, if it is present and text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The JSON body of a success; `Null` without a body.
    ///
    /// # Errors
    /// When the status is not `status`, or the response violates a rule for all responses.
    pub fn success(&self, status: u16) -> Result<Value> {
        self.keeps_promises(status)?;
        if self.text.is_empty() {
            return Ok(Value::Null);
        }
        ensure!(
            self.header("content-type") == Some("application/json; charset=utf-8"),
            "a success is application/json with its charset, not {:?}",
            self.header("content-type")
        );
        self.body()
    }

    /// The fields that a problem document names, in order.
    ///
    /// # Errors
    /// When the response is not the problem `word` with this `status`, in the form of RFC 9457.
    pub fn problem(&self, status: u16, word: &str) -> Result<Vec<String>> {
        self.keeps_promises(status)?;
        ensure!(
            self.header("content-type") == Some("application/problem+json; charset=utf-8"),
            "a failure is application/problem+json with its charset, not {:?}: {}",
            self.header("content-type"),
            self.text
        );
        let body = self.body()?;
        ensure!(
            body["type"] == format!("urn:rappel:problem:{word}"),
            "expected the problem {word}: {body}"
        );
        ensure!(
            body["status"] == status,
            "the body's status is the response's: {body}"
        );
        ensure!(
            body["request_id"].as_str() == self.header("x-request-id"),
            "the body's request id is the response's: {body}"
        );
        for part in ["title", "detail"] {
            ensure!(
                body[part].as_str().is_some_and(|text| !text.is_empty()),
                "{part} says something: {body}"
            );
        }
        let blamed = body["errors"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        blamed
            .iter()
            .map(|error| {
                ensure!(
                    error["detail"].is_string(),
                    "each field has its detail: {body}"
                );
                Ok(error["field"]
                    .as_str()
                    .context("each error names its field")?
                    .to_owned())
            })
            .collect()
    }

    /// The fields that a 422 names.
    ///
    /// # Errors
    /// When the response is not a 422.
    pub fn refused(&self) -> Result<Vec<String>> {
        self.problem(422, "invalid-request")
    }

    fn keeps_promises(&self, status: u16) -> Result<()> {
        ensure!(
            self.status == status,
            "expected {status}, got {}: {}",
            self.status,
            self.text
        );
        ensure!(
            self.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "every response carries x-request-id: {:?}",
            self.headers
        );
        Ok(())
    }

    fn body(&self) -> Result<Value> {
        let mut body: Value = serde_json::from_str(&self.text)
            .with_context(|| format!("the body is not JSON: {}", self.text))?;
        // The browser's driver turns on `preserve_order` of serde_json.
        body.sort_all_objects();
        Ok(body)
    }
}
