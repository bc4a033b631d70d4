//! An API that is served already, on this machine or on AWS.

mod place;

use std::time::Duration;

use anyhow::{Context as _, anyhow, ensure};
use aws::Request as Signable;
use bytes::Bytes;
use clap::Args;
use document_store::{Tenant, Visibility};
use reqwest::{
    Client, Method, RequestBuilder, Response, StatusCode,
    header::{AUTHORIZATION, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde_json::Value;

pub(crate) use self::place::address;
use self::place::service;
use crate::credentials::AwsCredentials;

/// What opens an API.
#[derive(Args, Clone, Default)]
pub(crate) struct Key {
    /// An API key or token, sent as `Authorization: Bearer`. Without one, requests to an API on AWS are signed with the
    /// credentials of `AWS_ACCESS_KEY_ID` and its like, or with those of the command `aws`: of a profile, a role or SSO.
    #[arg(
        long = "key",
        visible_alias = "token",
        env = "RAPPEL_KEY",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    bearer: Option<String>,
    /// The region of an API with a domain of its own, whose requests are signed: its address does not name the region.
    #[arg(long, env = "RAPPEL_SIGN_REGION", value_name = "REGION")]
    sign_region: Option<String>,
    #[command(flatten)]
    acting: Acting,
}

/// Whose documents a command is about.
#[derive(Args, Clone, Default)]
pub(crate) struct Acting {
    /// Act for this tenant [default: the tenant of the key]. An API accepts it from callers with `admin` for all tenants.
    #[arg(long, env = "RAPPEL_TENANT", value_name = "NAME", value_parser = tenant)]
    tenant: Option<Tenant>,
}

/// Sends requests to an API with what opens it.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    bearer: Option<HeaderValue>,
    /// The tenant that it acts for.
    tenant: Option<HeaderValue>,
    credentials: AwsCredentials,
    /// The region of an API with a domain of its own.
    sign_region: Option<String>,
}

/// What an API answered.
pub(crate) struct ApiResponse {
    /// The HTTP status.
    pub(crate) status: StatusCode,
    /// The body, `null` if it is not JSON.
    pub(crate) body: Value,
    /// The body as it was sent.
    pub(crate) text: String,
    request_id: String,
    /// The seconds of `Retry-After`.
    retry_after: Option<u64>,
    /// Whether it was asked with a key or token.
    with_key: bool,
}

impl Key {
    /// A client that shows the key with each request.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        // An empty option, such as one with the value of a secret that is not set, is none.
        let key = self.bearer.as_ref().filter(|key| !key.is_empty());
        let bearer = key.map(|key| {
            let value = HeaderValue::try_from(format!("Bearer {key}"));
            let mut value =
                value.context("--key contains characters that are not allowed in a header")?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        let tenant = self.acting.tenant.as_ref();
        let tenant = tenant.map(|tenant| HeaderValue::try_from(tenant.as_str()));
        Ok(Api {
            client: http_client::builder().build()?,
            bearer: bearer.transpose()?,
            tenant: tenant.transpose()?,
            credentials: AwsCredentials::default(),
            sign_region: self.sign_region.clone(),
        })
    }

    /// The tenant that was named.
    pub(crate) fn tenant(&self) -> Option<&Tenant> {
        self.acting.tenant.as_ref()
    }

    /// The documents that it is about, in a database.
    pub(crate) fn visibility(&self) -> Visibility {
        self.acting.visibility()
    }
}

impl Acting {
    /// The documents that it is about, in a database.
    pub(crate) fn visibility(&self) -> Visibility {
        Visibility::of(self.tenant.clone().unwrap_or_default())
    }
}

fn tenant(name: &str) -> Result<Tenant, String> {
    Tenant::parse(name, "the name").map_err(|error| error.to_string())
}

impl Api {
    /// A request that is not sent yet.
    pub(crate) fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends a request with the key, or signed.
    ///
    /// # Errors
    /// When it cannot be made or signed, or no answer comes.
    pub(crate) async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let mut request = request.build()?;
        let signature = match &self.bearer {
            Some(bearer) => vec![(AUTHORIZATION, bearer.clone())],
            None => self.signature(&request).await?,
        };
        request.headers_mut().extend(signature);
        if let Some(tenant) = &self.tenant {
            request
                .headers_mut()
                .insert("rappel-tenant", tenant.clone());
        }
        Ok(self.client.execute(request).await?)
    }

    /// The headers by which API Gateway or Lambda knows who asks; none elsewhere, or without credentials: the API may be
    /// open, and if it is not, it says so.
    async fn signature(
        &self,
        request: &reqwest::Request,
    ) -> anyhow::Result<Vec<(HeaderName, HeaderValue)>> {
        let Some(service) = service(request.url(), self.sign_region.as_deref()) else {
            return Ok(Vec::new());
        };
        let Some(credentials) = self.credentials.current().await else {
            return Ok(Vec::new());
        };
        let body = request.body().and_then(|body| body.as_bytes());
        let signable = Signable {
            method: request.method().clone(),
            url: request.url().to_string(),
            headers: Vec::new(),
            body: Bytes::copy_from_slice(body.unwrap_or_default()),
        };
        let headers = service.signature(&signable, &credentials)?;
        let headers = headers.into_iter().map(|(name, value)| {
            let mut value = HeaderValue::try_from(value)?;
            value.set_sensitive(true);
            Ok((HeaderName::try_from(name)?, value))
        });
        headers.collect()
    }
}

impl ApiResponse {
    /// Sends a request to `url`.
    ///
    /// # Errors
    /// When nobody answers.
    pub(crate) async fn of(api: &Api, request: RequestBuilder, url: &str) -> anyhow::Result<Self> {
        let response = api.send(request).await;
        let response = response.with_context(|| format!("no server responds at {url}"))?;
        Self::read(api, response).await
    }

    /// Reads an answer to its end.
    ///
    /// # Errors
    /// When it breaks off.
    pub(crate) async fn read(api: &Api, response: Response) -> anyhow::Result<Self> {
        let status = response.status();
        let id = response.headers().get("x-request-id");
        let request_id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let request_id = request_id.to_owned();
        let seconds = response.headers().get(RETRY_AFTER);
        let retry_after = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        let text = response.text().await.context("the answer broke off")?;
        Ok(Self {
            status,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
            request_id,
            retry_after,
            with_key: api.bearer.is_some(),
        })
    }

    /// The body of a success.
    ///
    /// # Errors
    /// As [`Self::refusal`].
    pub(crate) fn success(self) -> anyhow::Result<Value> {
        if self.status.is_success() {
            let is_json = !self.body.is_null() || ["", "null"].contains(&self.text.trim());
            ensure!(
                is_json,
                "the API answered {}, not with JSON: is it the address of Rappel's API?",
                self.status
            );
            return Ok(self.body);
        }
        Err(self.refusal())
    }

    /// How long to wait before the request is sent again for the `attempt`-th time: as `Retry-After` says, at most a minute.
    /// `None` if it would be refused again: of its own reasons for 503, Rappel names a time for those that pass.
    pub(crate) fn wait(&self, attempt: u32) -> Option<Duration> {
        let is_lasting =
            self.status == StatusCode::SERVICE_UNAVAILABLE && told(&self.body).is_some();
        if self.retry_after.is_none() && is_lasting {
            return None;
        }
        let seconds = self.retry_after.unwrap_or(1 << attempt);
        Some(Duration::from_secs(seconds.clamp(1, 60)))
    }

    /// What the API says of a refusal, and what to do about one for want of a key.
    pub(crate) fn refusal(&self) -> anyhow::Error {
        let said = refusal(self.status, &self.text, self.with_key);
        failure(&said, &self.request_id)
    }
}

/// What a problem document says, and when to try again; `None` for any other JSON.
pub(crate) fn told(problem: &Value) -> Option<String> {
    let (title, detail) = (problem["title"].as_str()?, problem["detail"].as_str()?);
    let wait = problem["retry_after"].as_u64();
    let wait = wait.map_or_else(String::new, |seconds| format!("; retry in {seconds} s"));
    Some(format!("{title}: {detail}{wait}"))
}

/// The error that an API tells, with the id by which its log has the request.
pub(crate) fn failure(said: &str, request_id: &str) -> anyhow::Error {
    if request_id.is_empty() {
        return anyhow!("{said}");
    }
    anyhow!("{said} (request {request_id})")
}

/// How much of an answer that is no JSON is shown, in characters: a page of a proxy begins with its title.
const SHOWN: usize = 200;

/// What a refusal says, and what to do about one for want of a key.
fn refusal(status: StatusCode, text: &str, with_key: bool) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let part = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    // A gateway's own refusals have but a message, one of a function's URL in upper case; OpenAI's have an error.
    let message = part("/message").or(part("/Message"));
    let message = message.or(part("/error/message")).or(part("/detail"));
    let said = match (told(&body), message) {
        (Some(told), _) => told,
        (None, Some(message)) => format!("the API answered {status}: {message}"),
        _ if body.is_null() && !text.trim().is_empty() => {
            let words: Vec<&str> = text.split_whitespace().collect();
            let shown: String = words.join(" ").chars().take(SHOWN).collect();
            format!("the API answered {status}, not with JSON: {shown}")
        }
        _ => format!("the API answered {status}"),
    };
    let hint = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if with_key => {
            "; the key or token of --key does not open this"
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            "; give a key or token with --key, or AWS credentials that may do this, in the environment or a profile"
        }
        _ => "",
    };
    format!("{said}{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_that_of_the_answer_or_grows() {
        let problem =
            r#"{"title": "The database schema is behind", "detail": "run `rappel migrate`"}"#;
        let busy = r#"{"type": "urn:rappel:problem:too-busy", "title": "No sandbox is free", "status": 503,
            "detail": "Function `documents` failed: all its 2 sandboxes were busy for 30 s", "retry_after": 1}"#;
        for (status, text, retry_after, attempt, expected) in [
            (429, problem, Some(42), 1, Some(42)),
            (429, problem, Some(0), 1, Some(1)),
            (429, problem, Some(86_400), 1, Some(60)),
            (429, r#"{"message": "Too Many Requests"}"#, None, 1, Some(2)),
            (503, problem, Some(5), 1, Some(5)),
            (503, problem, None, 1, None),
            (503, busy, Some(1), 1, Some(1)),
            (
                503,
                r#"{"message": "Service Unavailable"}"#,
                None,
                3,
                Some(8),
            ),
            (504, problem, None, 5, Some(32)),
        ] {
            let response = ApiResponse {
                status: StatusCode::from_u16(status).expect("a status"),
                body: serde_json::from_str(text).expect("JSON"),
                text: text.to_owned(),
                request_id: String::new(),
                retry_after,
                with_key: false,
            };
            let wait = response.wait(attempt).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{status} {text}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_who_refuses() {
        let forbidden = StatusCode::FORBIDDEN;
        for (status, text, with_key, said) in [
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                r#"{"title": "The request is not valid", "detail": "limit: 1 to 100"}"#,
                false,
                "The request is not valid: limit: 1 to 100",
            ),
            (
                StatusCode::NOT_FOUND,
                r#"{"message": "Not Found"}"#,
                false,
                "the API answered 404 Not Found: Not Found",
            ),
            (
                StatusCode::BAD_GATEWAY,
                "<html>\n <title>Bad gateway</title>",
                false,
                "the API answered 502 Bad Gateway, not with JSON: <html> <title>Bad gateway</title>",
            ),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "",
                false,
                "the API answered 500 Internal Server Error",
            ),
            (
                forbidden,
                r#"{"Message": "Forbidden"}"#,
                true,
                "the API answered 403 Forbidden: Forbidden; the key or token of --key does not open this",
            ),
        ] {
            assert_eq!(refusal(status, text, with_key), said);
        }
        let unsigned = refusal(forbidden, r#"{"message": "Forbidden"}"#, false);
        assert!(unsigned.contains("AWS credentials"), "{unsigned}");
    }
}
