//! From a function's JSON to an HTTP response: payload format 2.0, or any other JSON as it is.

use std::collections::BTreeMap;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{self, HeaderName, HeaderValue},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;

/// Headers that the connection to the client decides, not the function.
const CONNECTION_HEADERS: [HeaderName; 4] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A response as a function writes it. The prelude of a stream has the same form, without a body.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FunctionResponse {
    status_code: Option<u16>,
    headers: Option<BTreeMap<String, Header>>,
    multi_value_headers: Option<BTreeMap<String, Header>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: bool,
}

/// A header's value or values; AWS takes numbers and booleans for strings.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Header {
    Many(Vec<Scalar>),
    One(Scalar),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Other(Value),
}

/// Turns what a function returned into a response. The error ends the sentence "The function answered".
pub(super) fn from_payload(payload: &Bytes) -> Result<Response<Full<Bytes>>, String> {
    match serde_json::from_slice::<FunctionResponse>(payload) {
        Ok(mut response) if response.status_code.is_some() => {
            let body = response.take_body()?;
            response.with_body(Full::new(body))
        }
        Err(error) if has_status(payload) => Err(format!("oddly: {error}")),
        // Any other JSON is the body itself.
        _ => {
            serde_json::from_slice::<IgnoredAny>(payload)
                .map_err(|error| format!("no JSON: {error}"))?;
            let mut response = Response::new(Full::new(payload.clone()));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            Ok(response)
        }
    }
}

impl FunctionResponse {
    /// The HTTP response with this status, these headers and another body. The error ends the sentence "The function answered".
    pub(super) fn with_body<B>(self, body: B) -> Result<Response<B>, String> {
        let code = self.status_code.unwrap_or(200);
        let status = StatusCode::from_u16(code)
            .ok()
            .filter(|status| *status >= StatusCode::OK);
        let mut response = Response::new(body);
        *response.status_mut() = status.ok_or_else(|| format!("with status {code}"))?;
        let headers = response.headers_mut();
        for (name, value) in self.multi_value_headers.into_iter().flatten() {
            append(headers, &name, value)?;
        }
        for (name, value) in self.headers.into_iter().flatten() {
            // A name in both lists has its values in the other one.
            if !headers.contains_key(&name) {
                append(headers, &name, value)?;
            }
        }
        for cookie in self.cookies.into_iter().flatten() {
            append(
                headers,
                header::SET_COOKIE.as_str(),
                Header::One(Scalar::Text(cookie)),
            )?;
        }
        Ok(response)
    }

    fn take_body(&mut self) -> Result<Bytes, String> {
        let body = self.body.take().unwrap_or_default();
        if self.is_base64_encoded {
            let decoded = BASE64_STANDARD.decode(body);
            return decoded
                .map(Bytes::from)
                .map_err(|error| format!("with a body that is not base64: {error}"));
        }
        Ok(body.into())
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: Header) -> Result<(), String> {
    let name: HeaderName = name
        .parse()
        .map_err(|_| format!("with the header name {name:?}"))?;
    if CONNECTION_HEADERS.contains(&name) {
        return Ok(());
    }
    let values = match value {
        Header::Many(values) => values,
        Header::One(value) => vec![value],
    };
    for value in values {
        let text = match value {
            Scalar::Text(text) => text,
            Scalar::Other(value) => value.to_string(),
        };
        let value = HeaderValue::try_from(text);
        headers.append(
            &name,
            value.map_err(|_| format!("with an invalid value of the header {name}"))?,
        );
    }
    Ok(())
}

fn has_status(payload: &[u8]) -> bool {
    serde_json::from_slice::<Value>(payload).is_ok_and(|value| value.get("statusCode").is_some())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::json;

    use super::*;

    async fn response(payload: &Value) -> Result<(u16, Vec<(String, String)>, Bytes), String> {
        let response = from_payload(&Bytes::from(payload.to_string()))?;
        let (parts, body) = response.into_parts();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        let body = body
            .collect()
            .await
            .expect("a whole body cannot fail")
            .to_bytes();
        Ok((parts.status.as_u16(), headers, body))
    }

    #[tokio::test]
    async fn the_full_form() {
        let payload = json!({
            "statusCode": 201,
            "headers": { "Content-Type": "text/plain", "x-one": 1, "x-many": "last", "content-length": "99" },
            "multiValueHeaders": { "x-many": ["first", "last"] },
            "cookies": ["a=1; Secure", "b=2"],
            "body": "w6k=",
            "isBase64Encoded": true
        });
        let (status, mut headers, body) = response(&payload).await.expect("the payload is valid");
        headers.sort();
        let expected = [
            ("content-type", "text/plain"),
            ("set-cookie", "a=1; Secure"),
            ("set-cookie", "b=2"),
            ("x-many", "first"),
            ("x-many", "last"),
            ("x-one", "1"),
        ];
        assert_eq!(
            headers,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!((status, &body[..]), (201, "é".as_bytes()));
    }

    #[tokio::test]
    async fn any_other_json_is_the_body() {
        for payload in [
            json!({ "hits": [], "body": 1 }),
            json!([1, 2]),
            json!("text"),
            json!(null),
        ] {
            let (status, headers, body) = response(&payload).await.expect("the payload is JSON");
            assert_eq!(status, 200, "{payload}");
            assert_eq!(
                headers,
                [("content-type".to_owned(), "application/json".to_owned())],
                "{payload}"
            );
            assert_eq!(body, payload.to_string(), "{payload}");
        }
    }

    #[tokio::test]
    async fn malformed_responses_are_errors() {
        let header = json!({ "statusCode": 200, "headers": { "x": "a\nb" } });
        let bodies = [
            json!({ "statusCode": 200, "body": 7 }),
            json!({ "statusCode": 99 }),
            header,
        ];
        for payload in bodies {
            assert!(response(&payload).await.is_err(), "{payload}");
        }
        assert!(from_payload(&Bytes::from_static(b"{")).is_err());
    }
}
