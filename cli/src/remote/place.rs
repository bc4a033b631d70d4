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

/// The service whose requests to this address are signed: an API of API Gateway, or the URL of a function. A domain of one's own
/// is an API's, in this region.
pub(super) fn service(url: &Url, own_domain: Option<&str>) -> Option<Service> {
    let host = url.host_str()?;
    let own = || Some(("execute-api", own_domain.filter(|_| !is_near(host))?));
    let (name, region) = of_aws(host).or_else(own)?;
    Some(Service {
        name,
        endpoint_variable: "AWS_ENDPOINT_URL",
        region: region.to_owned(),
    })
}

/// The service and the region that a host of AWS names.
fn of_aws(host: &str) -> Option<(&'static str, &str)> {
    let mut labels = host.split('.').skip(1);
    let (name, region, domain) = (labels.next()?, labels.next()?, labels.next()?);
    match (name, domain) {
        ("execute-api", "amazonaws" | "vpce") => Some(("execute-api", region)),
        ("lambda-url", "on") => Some(("lambda", region)),
        _ => None,
    }
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
            let service = service(&url, None);
            let found = service
                .as_ref()
                .map(|service| (service.name, service.region.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }

    #[test]
    fn a_domain_of_its_own_is_signed_for_the_region_that_is_named() {
        let signed = |url: &str| {
            let url: Url = url.parse().expect("it is a URL");
            let service = service(&url, Some("eu-west-1"))?;
            Some((service.name, service.region))
        };
        let own = Some(("execute-api", "eu-west-1".to_owned()));
        assert_eq!(signed("https://api.example.org/search"), own);
        let function = Some(("lambda", "eu-west-3".to_owned()));
        assert_eq!(signed("https://a1.lambda-url.eu-west-3.on.aws/"), function);
        assert_eq!(signed("http://127.0.0.1:8000/search"), None);
    }
}
