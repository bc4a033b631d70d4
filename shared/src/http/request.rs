//! Parsing of requests, with the errors of their fields.

use std::borrow::Cow;

use document_store::{Expected, nul};
use json::{self, FieldError};
use lambda_http::{
    Request, RequestExt as _,
    http::{
        Method,
        header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH},
    },
};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::BODY_LIMIT;
use crate::Error;

/// Reads the body as a JSON object.
///
/// # Errors
/// 413 beyond [`BODY_LIMIT`], 415 for another or no content type or a compressed body, 400 for invalid JSON,
/// 422 with the field's path for JSON of another shape.
pub fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Error> {
    let body: &[u8] = request.body().as_ref();
    if body.len() > BODY_LIMIT {
        return Err(Error::BodyTooLarge {
            bytes: body.len(),
            limit: BODY_LIMIT,
        });
    }
    // A web page may send any body to any server, but a JSON content type only after a CORS preflight.
    let content_type = header(request, &CONTENT_TYPE);
    let essence = content_type
        .as_deref()
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if essence != "application/json" && !essence.ends_with("+json") {
        return Err(Error::UnsupportedMediaType(content_type));
    }
    match header(request, &CONTENT_ENCODING) {
        Some(coding) if !coding.trim().eq_ignore_ascii_case("identity") => {
            Err(Error::UnsupportedEncoding(coding))
        }
        _ => Ok(json::from_slice(body)?),
    }
}

fn header(request: &Request, name: &HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Refuses a URL whose percent-escapes are not UTF-8. Lambda decodes them to replacement characters, which would
/// make two ids equal.
///
/// # Errors
/// [`Error::MalformedUrl`] with the position.
pub(super) fn check_url(request: &Request) -> Result<(), Error> {
    let refused = |what: &str| {
        Error::MalformedUrl(format!(
            "{what} contains percent-escapes that are not UTF-8"
        ))
    };
    let parameters = request.path_parameters_ref();
    // API Gateway decodes the path and drops the original.
    if parameters.is_some_and(|map| map.iter().any(|(_, value)| value.contains('\u{fffd}'))) {
        return Err(refused("the path"));
    }
    // After a decoded path with one of these, lambda_http builds a URI with another query.
    if request.raw_http_path().contains(['?', '#']) {
        return Ok(());
    }
    for pair in request.uri().query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !is_text(name) {
            return Err(refused("the query"));
        }
        if !is_text(value) {
            return Err(refused(&format!("the parameter {name}")));
        }
    }
    Ok(())
}

/// Whether each `%` begins an escape, and the decoded text is UTF-8.
fn is_text(encoded: &str) -> bool {
    let escapes = encoded.split('%').skip(1);
    let whole = |escape: &str| {
        let digits = escape.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    escapes.into_iter().all(whole) && percent_decode_str(encoded).decode_utf8().is_ok()
}

/// A parameter of the path, decoded by the gateway.
///
/// # Errors
/// When it has a NUL, which nothing stored has; or when the route has no such parameter: a mistake in the template.
pub fn path_parameter(request: &Request, name: &str) -> Result<String, Error> {
    let value = request
        .path_parameters_ref()
        .and_then(|parameters| parameters.first(name))
        .ok_or_else(|| Error::Internal(format!("the route has no path parameter {name}")))?;
    match nul(value, name) {
        Some(error) => Err(error.into()),
        None => Ok(value.to_owned()),
    }
}

/// The same of a function that also has the route without it: `None` there. An HTTP API turns `/keys/` into an empty parameter of
/// `/keys/{id}`, which counts as absent for a reader alone: whoever changes something meant a certain one.
///
/// # Errors
/// When it has a NUL, or is empty.
pub fn optional_path_parameter(request: &Request, name: &str) -> Result<Option<String>, Error> {
    let parameters = request.path_parameters_ref();
    if parameters.is_none_or(|parameters| parameters.first(name).is_none()) {
        return Ok(None);
    }
    let value = path_parameter(request, name)?;
    match (value.is_empty(), request.method()) {
        (false, _) => Ok(Some(value)),
        (true, &Method::GET) => Ok(None),
        (true, _) => Err(FieldError::new(name, "is empty").into()),
    }
}

/// The stored state in which a document may be deleted, from the header `If-Match`.
#[must_use]
pub fn if_match(request: &Request) -> Expected {
    Expected::matching(listed(request, &IF_MATCH).as_deref())
}

/// The states of a document that the caller does not have yet, from the header `If-None-Match`.
#[must_use]
pub fn if_none_match(request: &Request) -> Expected {
    Expected::not_matching(listed(request, &IF_NONE_MATCH).as_deref())
}

/// The stored state in which a document may be written, from the header `If-Match` or else `If-None-Match`.
#[must_use]
pub fn expected(request: &Request) -> Expected {
    match if_match(request) {
        Expected::Anything => if_none_match(request),
        expected => expected,
    }
}

/// The values of a header that is a list: repeated ones form one.
fn listed(request: &Request, name: &HeaderName) -> Option<String> {
    let values = request.headers().get_all(name).iter();
    let values: Vec<Cow<'_, str>> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

#[cfg(test)]
mod tests {
    use lambda_http::http::Request as HttpRequest;

    use super::*;

    fn outcome(content_type: Option<&str>, coding: Option<&str>, body: &str) -> Result<(), Error> {
        let mut request = HttpRequest::builder();
        for (name, value) in [("content-type", content_type), ("content-encoding", coding)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        let request = request.body(body.into()).expect("the request is valid");
        json::<serde_json::Value>(&request).map(drop)
    }

    #[test]
    fn only_a_body_with_the_content_type_json_is_read() {
        for json in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/x+json",
        ] {
            outcome(Some(json), None, "{}").expect(json);
            outcome(Some(json), Some("identity"), "{}").expect(json);
        }
        for other in [
            None,
            Some(""),
            Some("text/plain"),
            Some("application/x-www-form-urlencoded"),
        ] {
            let outcome = outcome(other, None, "{}");
            assert!(
                matches!(outcome, Err(Error::UnsupportedMediaType(_))),
                "{other:?}: {outcome:?}"
            );
        }
        for coding in ["gzip", "br", "identity, gzip"] {
            let outcome = outcome(Some("application/json"), Some(coding), "{}");
            assert!(
                matches!(outcome, Err(Error::UnsupportedEncoding(_))),
                "{coding}: {outcome:?}"
            );
        }
    }

    #[test]
    fn a_query_is_text() {
        let outcome = |query: &str| {
            let uri = format!("http://localhost/search?{query}");
            let request = HttpRequest::builder().uri(uri).body("".into());
            check_url(&request.expect("the request is valid"))
        };
        for query in [
            "",
            "q",
            "q=a+b&q=%C3%A9",
            "q=100%25",
            "filter=%7B%22a%22%3A1%7D",
        ] {
            outcome(query).expect(query);
        }
        for query in [
            "q=%E9",
            "q=%ff%fe",
            "q=%zz",
            "q=%",
            "q=%2",
            "a=b&%E9=1",
            "q=%C3&r=%A9",
        ] {
            let outcome = outcome(query);
            assert!(
                matches!(outcome, Err(Error::MalformedUrl(_))),
                "{query}: {outcome:?}"
            );
        }
    }
}
