//! The event of an HTTP API, payload format 2.0.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hyper::{HeaderMap, header, http::request::Parts};
use serde::Serialize;
use template::{Parameters, Route};

/// The account of the examples in AWS's documentation; no real one is known here.
const ACCOUNT: &str = "123456789012";
/// Headers that speak of a connection and not of a request.
const CONNECTION_HEADERS: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// A request with all that its event tells.
pub(super) struct Received<'a> {
    pub(super) id: &'a str,
    pub(super) parts: &'a Parts,
    /// The path as the route's kind of API passes it on.
    pub(super) path: &'a str,
    pub(super) body: &'a [u8],
    pub(super) peer: IpAddr,
    pub(super) time: SystemTime,
    pub(super) route: &'a Route,
    pub(super) parameters: Parameters,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'a> {
    version: &'static str,
    route_key: &'a str,
    raw_path: &'a str,
    raw_query_string: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    cookies: Vec<String>,
    headers: BTreeMap<&'a str, Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
    request_context: Context<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    path_parameters: BTreeMap<String, String>,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'a> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'a str,
    domain_prefix: &'a str,
    http: Http<'a>,
    request_id: &'a str,
    route_key: &'a str,
    stage: &'static str,
    time: String,
    time_epoch: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'a> {
    method: &'a str,
    path: &'a str,
    protocol: &'static str,
    source_ip: IpAddr,
    user_agent: &'a str,
}

impl Received<'_> {
    /// The event as JSON.
    pub(super) fn to_event(&self) -> serde_json::Result<Vec<u8>> {
        let headers = &self.parts.headers;
        let key = self.route.key();
        let query = self.parts.uri.query().unwrap_or_default();
        let (body, is_base64_encoded) = body(headers, self.body);
        let event = Event {
            version: "2.0",
            route_key: key,
            raw_path: self.path,
            raw_query_string: query,
            cookies: cookies(headers),
            headers: self.event_headers(),
            query_string_parameters: joined(form_urlencoded::parse(query.as_bytes())),
            request_context: self.context(key),
            body,
            path_parameters: self.parameters.iter().cloned().collect(),
            is_base64_encoded,
        };
        serde_json::to_vec(&event)
    }

    fn context<'a>(&'a self, key: &'a str) -> Context<'a> {
        let text = |name| {
            self.parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let host = text(header::HOST).unwrap_or("localhost");
        let domain = host.rsplit_once(':').map_or(host, |(domain, _port)| domain);
        let elapsed = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Context {
            account_id: ACCOUNT,
            api_id: "local",
            domain_name: domain,
            domain_prefix: domain.split('.').next().unwrap_or_default(),
            http: Http {
                method: self.parts.method.as_str(),
                path: self.path,
                protocol: "HTTP/1.1",
                source_ip: self.peer,
                user_agent: text(header::USER_AGENT).unwrap_or_default(),
            },
            request_id: self.id,
            route_key: key,
            stage: "$default",
            time: common_log_time(self.time),
            time_epoch: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The request's headers, those of one name joined, and those that API Gateway adds. Cookies have a
    /// field of their own.
    fn event_headers(&self) -> BTreeMap<&str, Cow<'_, str>> {
        let headers = &self.parts.headers;
        let kept = headers.iter().filter(|(name, _)| {
            *name != header::COOKIE && !CONNECTION_HEADERS.contains(&name.as_str())
        });
        let mut all = joined(
            kept.map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))),
        );
        all.insert("content-length", self.body.len().to_string().into());
        all.insert("x-forwarded-for", self.peer.to_string().into());
        all.insert("x-forwarded-proto", "http".into());
        let host = headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok());
        let port = host
            .and_then(|host| host.rsplit_once(':'))
            .map_or("80", |(_, port)| port);
        all.insert("x-forwarded-port", port.into());
        all
    }
}

/// Pairs by name, the values of one name joined with commas in their order.
fn joined<'a, N: Ord>(pairs: impl Iterator<Item = (N, Cow<'a, str>)>) -> BTreeMap<N, Cow<'a, str>> {
    let mut all = BTreeMap::<N, Cow<'a, str>>::new();
    for (name, value) in pairs {
        all.entry(name)
            .and_modify(|known| *known = format!("{known},{value}").into())
            .or_insert(value);
    }
    all
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let mut cookies = Vec::new();
    for value in headers.get_all(header::COOKIE) {
        let text = String::from_utf8_lossy(value.as_bytes());
        let each = text
            .split(';')
            .map(str::trim)
            .filter(|cookie| !cookie.is_empty());
        cookies.extend(each.map(str::to_owned));
    }
    cookies
}

/// The body's text and whether that is base64. Text that is not UTF-8 cannot be in JSON, so it is sent as
/// binary whatever its type says.
fn body<'a>(headers: &HeaderMap, body: &'a [u8]) -> (Option<Cow<'a, str>>, bool) {
    if body.is_empty() {
        return (None, false);
    }
    match std::str::from_utf8(body) {
        Ok(text) if is_text(headers) => (Some(text.into()), false),
        _ => (Some(BASE64_STANDARD.encode(body).into()), true),
    }
}

/// Whether API Gateway sends a body of this content type as it is; a missing type counts as binary.
fn is_text(headers: &HeaderMap) -> bool {
    let value = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = value
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || [
            "application/json",
            "application/javascript",
            "application/xml",
        ]
        .contains(&essence.as_str())
}

/// The time as in access logs, such as `12/Mar/2020:19:03:58 +0000`.
fn common_log_time(time: SystemTime) -> String {
    // The HTTP date has the same parts at fixed places: `Thu, 12 Mar 2020 19:03:58 GMT`.
    let date = httpdate::fmt_http_date(time);
    format!(
        "{}/{}/{}:{} +0000",
        &date[5..7],
        &date[8..11],
        &date[12..16],
        &date[17..25]
    )
}

#[cfg(test)]
mod tests;
