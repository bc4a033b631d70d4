//! Search events in API Gateway's format, and their responses.

use anyhow::{Context as _, Result, ensure};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::sandbox::Reply;

/// The event of `POST /search` with this body: HTTP API, payload format 2.0.
pub(crate) fn search(body: &Value) -> Bytes {
    let event = json!({
        "version": "2.0",
        "routeKey": "POST /search",
        "rawPath": "/search",
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json",
            "host": "localhost",
            "user-agent": "bench",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https"
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": "POST",
                "path": "/search",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "bench"
            },
            "requestId": "bench",
            "routeKey": "POST /search",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1_767_225_600_000_u64
        },
        "body": body.to_string(),
        "isBase64Encoded": false
    });
    event.to_string().into()
}

/// The response to a search.
#[derive(Clone, Debug)]
pub(crate) struct TimedResponse {
    /// Milliseconds from the event to the last byte.
    pub(crate) total: f64,
    /// Embedding time reported by the function.
    pub(crate) embed: f64,
    /// Database time reported by the function.
    pub(crate) database: f64,
    /// Documents found.
    pub(crate) hits: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    status_code: u16,
    body: String,
}

#[derive(Deserialize)]
struct Body {
    hits: Vec<serde::de::IgnoredAny>,
    took_ms: Took,
}

#[derive(Deserialize)]
struct Took {
    embed: f64,
    database: f64,
}

impl TimedResponse {
    /// Parses a reply; anything but a successful search is an error, so that fast failures do not count.
    pub(crate) fn read(reply: &Reply) -> Result<Self> {
        let response: Response = serde_json::from_slice(&reply.payload)
            .context("the function's result is not an HTTP response")?;
        ensure!(
            response.status_code == 200,
            "the function responded {}: {}",
            response.status_code,
            response.body
        );
        let body: Body = serde_json::from_str(&response.body).context("not a search response")?;
        Ok(Self {
            total: reply.took.as_secs_f64() * 1e3,
            embed: body.took_ms.embed,
            database: body.took_ms.database,
            hits: body.hits.len(),
        })
    }

    /// The remaining milliseconds: runtime, JSON, HTTP.
    pub(crate) fn rest(&self) -> f64 {
        self.total - self.embed - self.database
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            took: Duration::from_millis(10),
            payload: json!({ "statusCode": status, "body": body })
                .to_string()
                .into(),
        }
    }

    #[test]
    fn a_response_splits_its_time() {
        let body = r#"{"hits":[{}],"took_ms":{"embed":3.0,"database":5.0,"total":8.5}}"#;
        let answer = TimedResponse::read(&reply(200, body)).expect("it is an answer");
        assert_eq!(answer.hits, 1);
        assert!((answer.rest() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn a_failed_search_is_an_error() {
        let error = TimedResponse::read(&reply(503, "{}")).expect_err("503 is a failure");
        assert!(error.to_string().contains("503"), "{error}");
    }
}
