//! Serves the page and its files.

use lambda_http::{
    Body, Request, RequestExt as _, Response,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
};

use crate::{
    api::Api,
    assets::{ASSETS, Asset, PAGE, hash, version},
};

/// The console of this build and these settings.
pub(crate) struct Site {
    version: String,
    page: String,
    /// A hash of the page, which contains the version and the settings.
    tag: HeaderValue,
    /// The content security policy of the page: <https://www.w3.org/TR/CSP3/>.
    policy: HeaderValue,
}

/// The path of the description of the API, also in the template.
const DESCRIPTION: &str = "/openapi.json";
/// The description, as `rappel openapi` wrote it; a test compares both.
const OPENAPI: &str = include_str!("../../../docs/openapi.json");

/// The path of the files, also in the template.
const FOLDER: &str = "/console";

/// Browsers revalidate the page each time; it has usually not changed.
const ASK_AGAIN: &str = "no-cache";
/// The version is in the path, so a file never changes.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

const PROBLEM: &str = r#"{"type":"urn:rappel:problem:not-found","title":"Not found","status":404,"detail":"this version of the console has no such file; load the page again"}"#;

impl Site {
    pub(crate) fn new(api: &Api) -> Self {
        let version = version();
        let folder = format!("{FOLDER}/{version}");
        let modules: Vec<String> = ASSETS
            .iter()
            .filter(|asset| asset.is_module())
            .map(|asset| {
                format!(
                    r#"<link rel="modulepreload" href="{folder}/{}">"#,
                    asset.name
                )
            })
            .collect();
        let page = PAGE
            .replace("{{modules}}", &modules.join("\n"))
            .replace("{{assets}}", &folder)
            .replace("{{chat}}", &api.chat)
            .replace("{{authorization}}", &api.authorization.to_string())
            .replace(
                "{{chat_authorization}}",
                &api.chat_authorization.to_string(),
            );
        Self {
            tag: tag(&hash([page.as_str()])),
            version,
            page,
            policy: policy(api),
        }
    }

    /// Answers a request for the page (`/`), one of its files (`/console/{version}/{name}`) or the description of the API.
    pub(crate) fn answer(&self, request: &Request) -> Response<Body> {
        let parameters = request.path_parameters_ref();
        let found = match parameters.and_then(|parameters| parameters.first("file")) {
            None if request.raw_http_path().ends_with(DESCRIPTION) => Some(description()),
            None => Some(self.page()),
            Some(file) => self.asset(file).map(|asset| self.file(asset)),
        };
        let mut response = found.unwrap_or_else(missing);
        if is_known(request.headers(), response.headers()) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Body::Empty;
        }
        if request.method() == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        let headers = response.headers_mut();
        for (name, value) in [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn page(&self) -> Response<Body> {
        let mut response = respond("text/html; charset=utf-8", ASK_AGAIN, &self.page);
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        headers.insert(
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        );
        response
    }

    /// The file at a path below the folder, if it is of this version.
    fn asset(&self, file: &str) -> Option<&'static Asset> {
        let name = file.strip_prefix(&self.version)?.strip_prefix('/')?;
        ASSETS.iter().find(|asset| asset.name == name)
    }

    fn file(&self, asset: &Asset) -> Response<Body> {
        let mut response = respond(asset.content_type(), FOR_EVER, asset.content);
        response
            .headers_mut()
            .insert(header::ETAG, tag(&self.version));
        response
    }
}

fn description() -> Response<Body> {
    let mut response = respond("application/json; charset=utf-8", ASK_AGAIN, OPENAPI);
    response
        .headers_mut()
        .insert(header::ETAG, tag(&hash([OPENAPI])));
    response
}

fn policy(api: &Api) -> HeaderValue {
    let chat = api.chat_origin().unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' {chat}; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'"
    );
    // The settings are valid in a header.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn tag(hash: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{hash}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// Whether the browser has the current version, by `If-None-Match`. Weak tags count as strong ones here.
fn is_known(asked: &HeaderMap, answer: &HeaderMap) -> bool {
    let Some(tag) = answer.get(header::ETAG) else {
        return false;
    };
    let known = asked.get_all(header::IF_NONE_MATCH).into_iter();
    let mut known = known
        .filter_map(|tags| tags.to_str().ok())
        .flat_map(|tags| tags.split(','));
    known.any(|known| {
        let known = known.trim();
        known == "*" || known.trim_start_matches("W/").as_bytes() == tag.as_bytes()
    })
}

fn respond(content_type: &'static str, caching: &'static str, content: &str) -> Response<Body> {
    let mut response = Response::new(Body::Text(content.to_owned()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

fn missing() -> Response<Body> {
    let mut response = respond(
        "application/problem+json; charset=utf-8",
        "no-store",
        PROBLEM,
    );
    *response.status_mut() = StatusCode::NOT_FOUND;
    response
}

#[cfg(test)]
mod tests;
