//! Events compared with what AWS documents.

use std::{net::Ipv4Addr, time::Duration};

use hyper::Request;
use serde_json::{Value, json};
use template::{Match, Routes, decoded};

use super::*;

fn event(request: Request<&[u8]>) -> Value {
    let paths = [("GET", "/documents/{id+}"), ("POST", "/search")];
    let routes =
        paths.map(|(method, path)| Route::new(method, path, "f").expect("the path is valid"));
    let routes = Routes::new(routes.into());
    let (parts, body) = request.into_parts();
    let path = decoded(parts.uri.path()).expect("the path is text");
    let Match::Found(route, parameters) = routes.find(&parts.method, &path) else {
        panic!("no route for {}", parts.uri);
    };
    let received = Received {
        id: "00000000-0000-4000-8000-000000000001",
        parts: &parts,
        path: &path,
        body,
        peer: Ipv4Addr::LOCALHOST.into(),
        time: UNIX_EPOCH + Duration::from_millis(1_584_039_838_390),
        route,
        parameters,
    };
    let event = received.to_event().expect("an event is always JSON");
    serde_json::from_slice(&event).expect("what was written as JSON is JSON")
}

fn with_body(content_type: &str, body: &[u8]) -> (Value, Value) {
    let request = Request::post("/search")
        .header("content-type", content_type)
        .body(body);
    let event = event(request.expect("the request is valid"));
    (event["body"].clone(), event["isBase64Encoded"].clone())
}

#[test]
fn a_get_with_everything() {
    let request =
        Request::get("/documents/caf%C3%A9%2F1?tag=a&tag=b%2Cc&q=l%27%C3%A9t%C3%A9+bleu&empty=")
            .header("Host", "127.0.0.1:8080")
            .header("User-Agent", "curl/8.5.0")
            .header("X-Many", "one")
            .header("X-Many", "two")
            .header("Cookie", "a=1; b=2")
            .header("Cookie", "c=3")
            .header("Connection", "keep-alive")
            .body(&b""[..]);
    let expected = json!({
        "version": "2.0",
        "routeKey": "GET /documents/{id+}",
        "rawPath": "/documents/café/1",
        "rawQueryString": "tag=a&tag=b%2Cc&q=l%27%C3%A9t%C3%A9+bleu&empty=",
        "cookies": ["a=1", "b=2", "c=3"],
        "headers": {
            "content-length": "0",
            "host": "127.0.0.1:8080",
            "user-agent": "curl/8.5.0",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "8080",
            "x-forwarded-proto": "http",
            "x-many": "one,two"
        },
        "queryStringParameters": { "tag": "a,b,c", "q": "l'été bleu", "empty": "" },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "127.0.0.1",
            "domainPrefix": "127",
            "http": {
                "method": "GET",
                "path": "/documents/café/1",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8.5.0"
            },
            "requestId": "00000000-0000-4000-8000-000000000001",
            "routeKey": "GET /documents/{id+}",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_584_039_838_390_u64
        },
        "pathParameters": { "id": "café/1" },
        "isBase64Encoded": false
    });
    assert_eq!(event(request.expect("the request is valid")), expected);
}

#[test]
fn a_bare_request_has_no_empty_fields() {
    let event = event(
        Request::post("/search")
            .body(&b""[..])
            .expect("the request is valid"),
    );
    let fields: Vec<_> = event
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    let mut expected = [
        "headers",
        "isBase64Encoded",
        "rawPath",
        "rawQueryString",
        "requestContext",
        "routeKey",
        "version",
    ];
    expected.sort_unstable();
    let mut sorted = fields.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
}

#[test]
fn only_text_is_sent_as_it_is() {
    for text in [
        "application/json",
        "text/plain; charset=utf-8",
        "Application/JSON",
        "application/problem+json",
    ] {
        assert_eq!(
            with_body(text, b"{\"a\": 1}"),
            (json!("{\"a\": 1}"), json!(false)),
            "{text}"
        );
    }
    for binary in [
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        "image/png",
    ] {
        assert_eq!(
            with_body(binary, b"a=1"),
            (json!("YT0x"), json!(true)),
            "{binary}"
        );
    }
    assert_eq!(
        with_body("text/plain", &[0xff, 0xfe]),
        (json!("//4="), json!(true))
    );
}
