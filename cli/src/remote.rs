//! An API that is served already, on this machine or on AWS.

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde_json::Value;

/// What opens an API.
#[derive(Args, Clone, Default)]
pub(crate) struct Key {
    /// A token that the API asks for, sent as `Authorization: Bearer`; requests are not signed for IAM.
    #[arg(
        long,
        visible_alias = "token",
        env = "RAPPEL_KEY",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    key: Option<String>,
}

/// What an API answered.
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The body, `null` if it is not JSON.
    pub(crate) body: Value,
    request_id: String,
}

impl Key {
    /// A client that shows the key with each request.
    pub(crate) fn client(&self) -> anyhow::Result<Client> {
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            let value = HeaderValue::try_from(format!("Bearer {key}"));
            let mut value = value.context("--key holds characters that no header takes")?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(http_client::builder().default_headers(headers).build()?)
    }
}

/// The address of an API without a slash at its end; `127.0.0.1:8000` stands for `http://127.0.0.1:8000`.
pub(crate) fn address(api: &str) -> String {
    let api = api.trim_end_matches('/');
    if api.contains("://") {
        api.to_owned()
    } else {
        format!("http://{api}")
    }
}

impl Answer {
    /// Sends a request to `api`.
    ///
    /// # Errors
    /// When nobody answers.
    pub(crate) async fn to(request: RequestBuilder, api: &str) -> anyhow::Result<Self> {
        let response = request.send().await;
        let response = response.with_context(|| format!("nobody answers at {api}"))?;
        let status = response.status();
        let id = response.headers().get("x-request-id");
        let request_id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let request_id = request_id.to_owned();
        let body = response.text().await.context("the answer broke off")?;
        Ok(Self {
            status,
            body: serde_json::from_str(&body).unwrap_or_default(),
            request_id,
        })
    }

    /// The body of a success.
    ///
    /// # Errors
    /// What the API says of a refusal, and what to do about one for want of a key.
    pub(crate) fn success(self) -> anyhow::Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        let text = |field: &str| self.body[field].as_str();
        // A gateway's own refusals have but a message.
        let said = match (text("title"), text("detail").or(text("message"))) {
            (Some(title), Some(detail)) => format!("{title}: {detail}"),
            (None, Some(message)) => format!("the API answered {}: {message}", self.status),
            _ => format!("the API answered {}", self.status),
        };
        let hint = match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                "; give a token with --key (an API with IAM takes signed requests alone)"
            }
            _ => "",
        };
        if self.request_id.is_empty() {
            bail!("{said}{hint}");
        }
        bail!("{said}{hint} (request {})", self.request_id)
    }
}
