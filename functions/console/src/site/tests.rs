use std::collections::HashMap;

use super::*;
use crate::api::Authorization;

const FUNCTION_URL: &str = "https://abc.lambda-url.eu-west-3.on.aws/";

fn site(chat: &str) -> Site {
    Site::new(&Api {
        chat: chat.to_owned(),
        authorization: Authorization::Jwt,
        chat_authorization: Authorization::Iam,
    })
}

/// A request for the page, or for a file.
fn request(file: Option<&str>) -> Request {
    let request = Request::new(Body::Empty);
    match file {
        None => request,
        Some(file) => {
            let parameters = HashMap::from([("file".to_owned(), vec![file.to_owned()])]);
            request.with_path_parameters(parameters)
        }
    }
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

fn text(response: &Response<Body>) -> &str {
    std::str::from_utf8(response.body()).expect("the site is text")
}

#[test]
fn the_page_knows_the_chats_url_and_may_call_no_other() {
    let response = site(FUNCTION_URL).answer(&request(None));
    assert_eq!(response.status(), 200);
    let page = text(&response);
    assert!(
        page.contains(&format!(r#"data-chat="{FUNCTION_URL}""#)),
        "{page}"
    );
    assert!(page.contains(r#"data-authorization="jwt""#), "{page}");
    assert!(page.contains(r#"data-chat-authorization="iam""#), "{page}");
    assert!(!page.contains("{{"), "{page}");
    let policy = header(&response, "content-security-policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
        "{policy}"
    );
    assert!(
        policy.contains("connect-src 'self' https://abc.lambda-url.eu-west-3.on.aws;"),
        "{policy}"
    );
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
}

#[test]
fn every_file_that_the_page_names_exists_and_is_cached_forever() {
    let site = site("/chat");
    let response = site.answer(&request(None));
    let page = text(&response);
    let mut loaded = 0;
    for path in page
        .split(r#"href="/console/"#)
        .chain(page.split(r#"src="/console/"#))
        .skip(1)
    {
        let Some((file, _)) = path.split_once('"') else {
            continue;
        };
        if file.contains('<') {
            continue;
        }
        let response = site.answer(&request(Some(file)));
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(header(&response, "cache-control"), Some(FOR_EVER), "{file}");
        assert_eq!(
            header(&response, "x-content-type-options"),
            Some("nosniff"),
            "{file}"
        );
        loaded += 1;
    }
    assert!(loaded > 10, "{loaded} files");
}

#[test]
fn a_cached_file_is_not_sent_again() {
    let site = site("/chat");
    let file = format!("{}/app.js", site.version);
    for file in [None, Some(file.as_str())] {
        let first = site.answer(&request(file));
        let tag = first.headers()[header::ETAG].clone();
        for (known, status) in [
            (tag.to_str().expect("a tag"), 304),
            ("*", 304),
            ("\"other\"", 200),
        ] {
            let mut again = request(file);
            let known = format!("\"old\", W/{known}").replace("W/*", "*");
            again
                .headers_mut()
                .insert(header::IF_NONE_MATCH, known.parse().expect("a header"));
            let answer = site.answer(&again);
            assert_eq!(answer.status(), status, "{file:?} {known}");
            assert_eq!(text(&answer).is_empty(), status == 304);
            assert_eq!(answer.headers().get(header::ETAG), Some(&tag));
        }
        let mut head = request(file);
        *head.method_mut() = Method::HEAD;
        let answer = site.answer(&head);
        assert_eq!((answer.status().as_u16(), text(&answer)), (200, ""));
    }
}

#[test]
fn a_file_of_another_build_is_missing_and_not_another_version_of_itself() {
    let site = site("/chat");
    let version = &site.version;
    for file in [
        "app.js",
        "0123456789ab/app.js",
        &format!("{version}/index.html"),
        &format!("{version}/../app.js"),
    ] {
        let answer = site.answer(&request(Some(file)));
        assert_eq!(answer.status(), 404, "{file}");
        assert_eq!(header(&answer, "cache-control"), Some("no-store"));
        assert!(text(&answer).contains("urn:rappel:problem:not-found"));
    }
}

#[test]
fn other_settings_are_another_page() {
    let (here, there) = (site("/chat"), site(FUNCTION_URL));
    assert_eq!(here.version, there.version);
    assert_ne!(here.tag, there.tag);
}
