//! Forwards the messages of a program, one a line, to the API's `POST /mcp`, and its answers back.

use std::sync::OnceLock;

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{TryStreamExt as _, stream};
use reqwest::{
    Method,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader},
    sync::Mutex,
};

use crate::{
    remote::{Api, ApiResponse},
    terminal::note,
};

/// Requests that the API answers at the same time.
const IN_FLIGHT: usize = 16;

/// The codes of JSON-RPC for a line that is not JSON, and for an API that did not answer with a message.
const PARSE_ERROR: i32 = -32700;
const INTERNAL_ERROR: i32 = -32603;

/// The key of a request's metadata that names its revision of the protocol, since 2026-07-28.
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";

/// A way from a program to an API.
pub(super) struct Bridge {
    api: Api,
    url: String,
    /// The revision on which `initialize` agreed.
    agreed: OnceLock<String>,
}

impl Bridge {
    /// A bridge to the API at `url`.
    pub(super) fn new(api: Api, url: &str) -> Self {
        Self {
            api,
            url: format!("{url}/mcp"),
            agreed: OnceLock::new(),
        }
    }

    /// Forwards until the program closes its side, and has its answers.
    ///
    /// # Errors
    /// When the program cannot be read from or written to; an unavailable API is an answer.
    pub(super) async fn run(
        &self,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin,
    ) -> Result<()> {
        let output = Mutex::new(output);
        let lines =
            stream::try_unfold(BufReader::new(input).split(b'\n'), |mut lines| async move {
                let line = lines.next_segment().await?;
                anyhow::Ok(line.map(|line| (line, lines)))
            });
        let answered = lines.try_for_each_concurrent(IN_FLIGHT, |line| async {
            if let Some(answer) = self.answer(line).await {
                let mut output = output.lock().await;
                output.write_all(answer.as_bytes()).await?;
                output.flush().await?;
            }
            Ok(())
        });
        answered.await
    }

    /// The line that answers a line, if one does.
    async fn answer(&self, line: Vec<u8>) -> Option<String> {
        if line.trim_ascii().is_empty() {
            return None;
        }
        let message: Value = match serde_json::from_slice(&line) {
            Ok(message) => message,
            Err(error) => {
                let text = format!("the line is not JSON: {error}");
                return Some(failure(&Value::Null, PARSE_ERROR, &text));
            }
        };
        match self.post(&message, line).await {
            Ok(answer) => answer,
            Err(error) => {
                let text = format!("{error:#}");
                note(&text);
                let is_request = message["method"].is_string() && !message["id"].is_null();
                is_request.then(|| failure(&message["id"], INTERNAL_ERROR, &text))
            }
        }
    }

    async fn post(&self, message: &Value, line: Vec<u8>) -> Result<Option<String>> {
        let mut request = self
            .api
            .request(Method::POST, &self.url)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .body(line);
        for (name, value) in self.headers(message) {
            request = request.header(name, value);
        }
        let answer = ApiResponse::of(&self.api, request, &self.url).await?;
        // A refusal may be a message as well.
        if answer.body["jsonrpc"] != "2.0" {
            answer.success()?;
            return Ok(None);
        }
        if message["method"] == "initialize"
            && let Some(version) = answer.body["result"]["protocolVersion"].as_str()
        {
            // A second `initialize` of a connection is a mistake of the program.
            let _ = self.agreed.set(version.to_owned());
        }
        Ok(Some(answer.text.replace(['\n', '\r'], " ") + "\n"))
    }

    /// The headers that repeat parts of a message:
    /// <https://modelcontextprotocol.io/specification/2026-07-28/basic/transports>.
    fn headers(&self, message: &Value) -> Vec<(HeaderName, HeaderValue)> {
        let (method, params) = (&message["method"], &message["params"]);
        let named = params["_meta"][VERSION_KEY].as_str();
        let version = match named {
            Some(version) => Some(version),
            None if method == "initialize" => None,
            None => self.agreed.get().map(String::as_str),
        };
        let of = match method.as_str() {
            Some("tools/call" | "prompts/get") => params["name"].as_str(),
            Some("resources/read" | "resources/subscribe" | "resources/unsubscribe") => {
                params["uri"].as_str()
            }
            _ => None,
        };
        let headers = [
            ("mcp-protocol-version", version),
            ("mcp-method", method.as_str()),
            ("mcp-name", of),
        ];
        let headers = headers.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::try_from(header_value(value?)).ok()?;
            Some((HeaderName::from_static(name), value))
        });
        headers.collect()
    }
}

/// A value as these headers have it: in Base64 if it has other characters than visible ones of ASCII, and blanks within.
fn header_value(value: &str) -> String {
    let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && value.trim() == value
        && !value.starts_with("=?base64?");
    if is_plain {
        value.to_owned()
    } else {
        format!("=?base64?{}?=", BASE64_STANDARD.encode(value))
    }
}

fn failure(id: &Value, code: i32, message: &str) -> String {
    let error = json!({ "code": code, "message": message });
    let answer = json!({ "jsonrpc": "2.0", "id": id, "error": error });
    format!("{answer}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_header_can_hold_are_encoded() {
        for (name, value) in [
            ("search", "search"),
            ("a b", "a b"),
            ("été", "=?base64?w6l0w6k=?="),
            (" a", "=?base64?IGE=?="),
            ("a\nb", "=?base64?YQpi?="),
            ("=?base64?YQ==?=", "=?base64?PT9iYXNlNjQ/WVE9PT89?="),
        ] {
            assert_eq!(header_value(name), value);
        }
    }
}
