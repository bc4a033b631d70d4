//! The address of an API.

use std::net::Ipv4Addr;

use aws::Service;
use reqwest::Url;

/// The address of an API without a trailing slash. `127.0.0.1:8000` stands for `http://127.0.0.1:8000`, and a name of the
/// internet for `https`: a key must not go there in the clear.
pub(crate) fn address(api: &str) -> String {
    let api = api.trim().trim_end_matches('/');
    if api.contains("://") {
        return api.to_owned();
    }
    let authority = api.split(['/', '?']).next().unwrap_or_default();
    let scheme = if is_near(authority) { "http" } else { "https" };
    format!("{scheme}://{api}")
}

/// The service that an address of AWS belongs to: an API of API Gateway, or the URL of a function.
pub(super) fn service(url: &Url) -> Option<Service> {
    let mut labels = url.host_str()?.split('.').skip(1);
    let (name, region, domain) = (labels.next()?, labels.next()?, labels.next()?);
    let name = match (name, domain) {
        ("execute-api", "amazonaws") => "execute-api",
        ("lambda-url", "on") => "lambda",
        _ => return None,
    };
    Some(Service {
        name,
        endpoint_variable: "AWS_ENDPOINT_URL",
        region: region.to_owned(),
    })
}

/// Whether a host is an IP address or a name of this machine or network, for which nobody has a certificate.
fn is_near(authority: &str) -> bool {
    let host = authority.split(':').next().unwrap_or_default();
    let is_local = [".localhost", ".local", ".internal"]
        .iter()
        .any(|end| host.ends_with(end));
    is_local || !host.contains('.') || host.parse::<Ipv4Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_scheme_is_encrypted_on_the_internet() {
        for (api, expected) in [
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("localhost:8000/", "http://localhost:8000"),
            ("[::1]:8000", "http://[::1]:8000"),
            ("search.local/api", "http://search.local/api"),
            ("server:8000", "http://server:8000"),
            ("api.example.org", "https://api.example.org"),
            ("api.example.org:8443/x", "https://api.example.org:8443/x"),
            ("http://api.example.org/", "http://api.example.org"),
        ] {
            assert_eq!(address(api), expected);
        }
    }

    #[test]
    fn an_address_of_aws_names_its_service_and_region() {
        for (url, expected) in [
            (
                "https://a1.execute-api.eu-west-3.amazonaws.com/search",
                Some(("execute-api", "eu-west-3")),
            ),
            (
                "https://a1.execute-api.cn-north-1.amazonaws.com.cn/live",
                Some(("execute-api", "cn-north-1")),
            ),
            (
                "https://a1.lambda-url.eu-west-3.on.aws/chat",
                Some(("lambda", "eu-west-3")),
            ),
            ("https://execute-api.example.org/search", None),
            ("https://a1.execute-api.eu-west-3.example.org", None),
            ("http://127.0.0.1:8000/search", None),
            ("http://localhost", None),
        ] {
            let url: Url = url.parse().expect("it is a URL");
            let service = service(&url);
            let found = service
                .as_ref()
                .map(|service| (service.name, service.region.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }
}
