//! Whom the gateway answers: programs of this machine, and the web pages that may ask.
//!
//! Every web page can send requests to a port of the machine that shows it, with its `Origin`; and by a name
//! that leads here (DNS rebinding) it can read the answers, with that name as the `Host`. API Gateway has
//! names of its own and asks for signatures; here these two headers are what there is.

use std::{net::IpAddr, str::FromStr};

use anyhow::{Context as _, ensure};
use http_body_util::{Either, Full};
use hyper::{
    HeaderMap, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
        ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderName, HeaderValue, ORIGIN, VARY,
    },
    http::{
        request::Parts,
        uri::{Authority, Uri},
    },
};

use super::{problem::Problem, stream::ClientBody};

/// Where a web page comes from: `http://app.localhost:5173`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    authority: String,
}

/// Headers of an answer that a page may read, as the template has them.
const EXPOSED: &str = "apigw-requestid, retry-after, x-request-id";
/// Seconds for which a browser may keep what a preflight said.
const MAX_AGE: &str = "600";

impl FromStr for Origin {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let form = "an origin is http://host or http://host:port";
        let uri: Uri = text.trim_end_matches('/').parse().context(form)?;
        let scheme = uri.scheme_str().context(form)?;
        let authority = uri.authority().context(form)?;
        ensure!(uri.path() == "/" && uri.query().is_none(), form);
        // Browsers leave the port of the scheme out.
        let port = if scheme == "https" { ":443" } else { ":80" };
        let authority = authority.as_str();
        Ok(Self {
            scheme: scheme.to_owned(),
            authority: authority
                .strip_suffix(port)
                .unwrap_or(authority)
                .to_ascii_lowercase(),
        })
    }
}

impl Origin {
    fn host(&self) -> &str {
        host_of(&self.authority)
    }
}

/// What may be asked by whom.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// Pages of other machines that may ask.
    pub(super) origins: Vec<Origin>,
    /// The address that the gateway listens on, if it is not one of this machine alone.
    pub(super) address: Option<IpAddr>,
}

impl Allowed {
    /// The origin of the page that asks, if one does.
    ///
    /// # Errors
    /// A host or a page that is neither of this machine nor allowed.
    pub(super) fn check(&self, parts: &Parts) -> Result<Option<HeaderValue>, Problem> {
        let host = match parts.uri.authority() {
            Some(authority) => authority.as_str(),
            None => text(&parts.headers, &HOST).unwrap_or_default(),
        };
        let is_ours = host.parse::<Authority>().is_ok_and(|authority| {
            let host = authority.host().to_ascii_lowercase();
            self.is_here(&host) || self.origins.iter().any(|origin| origin.host() == host)
        });
        if !is_ours {
            return Err(Problem::foreign_host(host));
        }
        let Some(value) = parts.headers.get(ORIGIN) else {
            return Ok(None);
        };
        let text = value.to_str().unwrap_or_default();
        let may_ask = text
            .parse::<Origin>()
            .is_ok_and(|origin| self.is_here(origin.host()) || self.origins.contains(&origin));
        if may_ask {
            Ok(Some(value.clone()))
        } else {
            Err(Problem::foreign_origin(text))
        }
    }

    fn is_here(&self, host: &str) -> bool {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host == "localhost"
            || host.ends_with(".localhost")
            || address.is_ok_and(|address| address.is_loopback() || self.address == Some(address))
    }
}

/// The host of an authority, without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Whether a browser asks if a page's request would be answered.
pub(super) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of an allowed page, for a path with these methods.
pub(super) fn preflight(parts: &Parts, methods: &[&str]) -> Response<ClientBody> {
    let mut response = Response::new(Either::Left(Full::default()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    if let Ok(methods) = HeaderValue::from_str(&methods.join(", ")) {
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    if let Some(asked) = parts.headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    // Of a page from elsewhere, which wants to reach a machine of the user's own network.
    if parts
        .headers
        .contains_key("access-control-request-private-network")
    {
        let allow = HeaderName::from_static("access-control-allow-private-network");
        headers.insert(allow, HeaderValue::from_static("true"));
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    response
}

/// Lets the page read an answer.
pub(super) fn expose(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    let exposed = HeaderValue::from_static(EXPOSED);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    headers.append(VARY, HeaderValue::from_static("origin"));
}

#[cfg(test)]
mod tests {
    use hyper::Request;

    use super::*;

    fn outcome(allowed: &Allowed, host: &str, origin: Option<&str>) -> bool {
        let mut request = Request::post("/search").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let request = request.body(()).expect("the request is valid");
        allowed.check(&request.into_parts().0).is_ok()
    }

    #[test]
    fn this_machine_may_ask_and_nobody_else() {
        let allowed = Allowed::default();
        for host in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1:8000",
            "127.9.9.9",
            "[::1]:8000",
            "a.localhost",
        ] {
            assert!(outcome(&allowed, host, None), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:8000",
            "192.0.2.1",
        ] {
            assert!(!outcome(&allowed, host, None), "{host}");
        }
        for (origin, may) in [
            ("http://localhost:5173", true),
            ("http://[::1]:3000", true),
            ("https://evil.example", false),
            ("http://localhost.evil.example", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(
                outcome(&allowed, "localhost:8000", Some(origin)),
                may,
                "{origin}"
            );
        }
    }

    #[test]
    fn a_page_that_is_named_may_ask_by_its_name_too() {
        let allowed = Allowed {
            origins: vec!["https://App.example:443/".parse().expect("an origin")],
            address: None,
        };
        assert!(outcome(
            &allowed,
            "localhost:8000",
            Some("https://app.example")
        ));
        assert!(outcome(&allowed, "app.example", None));
        assert!(!outcome(
            &allowed,
            "localhost:8000",
            Some("http://app.example")
        ));
        assert!(!outcome(
            &allowed,
            "localhost:8000",
            Some("https://app.example:8443")
        ));
        for wrong in [
            "app.example",
            "*",
            "null",
            "https://",
            "https://app.example/path",
            "https://app.example?q",
        ] {
            assert!(wrong.parse::<Origin>().is_err(), "{wrong}");
        }
    }
}
