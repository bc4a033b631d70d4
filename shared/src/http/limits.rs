//! The headers of limits: <https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>.

use access::Quota;
use lambda_http::http::{HeaderMap, HeaderValue};

/// Writes the limits of the caller, and what is left of them; nothing without limits.
pub(super) fn write(quotas: &[Quota], headers: &mut HeaderMap) {
    let list = |item: fn(&Quota) -> String| {
        let items: Vec<String> = quotas.iter().map(item).collect();
        HeaderValue::try_from(items.join(", "))
    };
    if quotas.is_empty() {
        return;
    }
    let policy = |it: &Quota| format!("\"{}\";q={};w={}", it.name, it.limit, Quota::WINDOW);
    let state = |it: &Quota| format!("\"{}\";r={};t={}", it.name, it.remaining, it.reset);
    for (name, value) in [
        ("ratelimit-policy", list(policy)),
        ("ratelimit", list(state)),
    ] {
        if let Ok(value) = value {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_an_item_of_both_headers() {
        let quota = |name, limit, remaining| Quota {
            name,
            limit,
            remaining,
            reset: 23,
        };
        let mut headers = HeaderMap::new();
        write(&[], &mut headers);
        assert!(headers.is_empty());
        write(
            &[quota("key", 60, 59), quota("tenant", 600, 0)],
            &mut headers,
        );
        assert_eq!(
            headers["ratelimit-policy"],
            "\"key\";q=60;w=60, \"tenant\";q=600;w=60"
        );
        assert_eq!(
            headers["ratelimit"],
            "\"key\";r=59;t=23, \"tenant\";r=0;t=23"
        );
    }
}
