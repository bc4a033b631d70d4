//! The web address of a document, from its metadata.

use serde_json::{Map, Value};

/// The keys of the address, the likeliest first: Rappel's documentation, feeds and crawlers, `LangChain`'s loaders.
const KEYS: [&str; 5] = ["url", "link", "source_url", "uri", "source"];

/// The web address of the document with this metadata, if any.
#[must_use]
pub fn address(metadata: &str) -> Option<String> {
    let metadata: Map<String, Value> = serde_json::from_str(metadata).ok()?;
    let is_web = |address: &&str| {
        let scheme = address.split_once("://").map(|(scheme, _)| scheme);
        scheme.is_some_and(|it| it.eq_ignore_ascii_case("https") || it.eq_ignore_ascii_case("http"))
    };
    let addresses = KEYS.iter().filter_map(|key| metadata.get(*key)?.as_str());
    addresses.map(str::trim).find(is_web).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_the_web() {
        for (metadata, expected) in [
            (
                r#"{"url": "https://a.example/b"}"#,
                Some("https://a.example/b"),
            ),
            (
                r#"{"url": 7, "source": "HTTP://a.example"}"#,
                Some("HTTP://a.example"),
            ),
            (
                r#"{"source": "notes/a.md", "link": "https://c.example"}"#,
                Some("https://c.example"),
            ),
            (r#"{"url": "javascript:alert(1)"}"#, None),
            (r#"{"url": "file:///etc/passwd", "source": ""}"#, None),
            ("{}", None),
        ] {
            assert_eq!(address(metadata).as_deref(), expected, "{metadata}");
        }
    }
}
