//! CORS behind a REST API, which passes every request on. A function URL and an HTTP API handle CORS themselves.

use std::env;

use lambda_http::{
    Request, RequestExt as _,
    http::{HeaderMap, HeaderValue, header},
    request::RequestContext,
};

/// The variable with the allowed origins, separated by commas; `*` allows any.
const ORIGINS: &str = "CORS_ORIGINS";

/// The headers that template.yaml allows on the other routes, and the header of an API key.
const HEADERS: &str = "authorization,content-type,if-match,if-none-match,rappel-tenant,traceparent,x-amz-content-sha256,x-amz-date,x-amz-security-token,x-api-key";

/// The origin of a request through a REST API, if `CORS_ORIGINS` allows it.
#[derive(Debug)]
pub(super) struct Page {
    origin: Option<HeaderValue>,
}

impl Page {
    pub(super) fn of(request: &Request) -> Self {
        Self::among(&env::var(ORIGINS).unwrap_or_default(), request)
    }

    fn among(origins: &str, request: &Request) -> Self {
        let by_rest = matches!(
            request.request_context_ref(),
            Some(RequestContext::ApiGatewayV1(_))
        );
        let origin = request.headers().get(header::ORIGIN).filter(|origin| {
            let mut known = origins.split(',').map(str::trim);
            by_rest && known.any(|known| known == "*" || known.as_bytes() == origin.as_bytes())
        });
        Self {
            origin: origin.cloned(),
        }
    }

    /// Allows the page to send the request and read the response.
    pub(super) fn allow(self, headers: &mut HeaderMap) {
        let Some(origin) = self.origin else { return };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        for (name, value) in [
            (header::VARY, "origin"),
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
            (
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                "etag,ratelimit,ratelimit-policy,retry-after,x-request-id",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use lambda_http::{
        Body,
        aws_lambda_events::apigw::{ApiGatewayProxyRequestContext, ApiGatewayV2httpRequestContext},
    };

    use super::*;

    fn allowed(origins: &str, origin: &str, context: RequestContext) -> Option<String> {
        let mut request = Request::new(Body::Empty).with_request_context(context);
        let value = origin.parse().expect("a header");
        request.headers_mut().insert(header::ORIGIN, value);
        let mut headers = HeaderMap::new();
        Page::among(origins, &request).allow(&mut headers);
        let allowed = headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        allowed.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    }

    #[test]
    fn a_page_of_a_known_origin_may_read_what_comes_by_a_rest_api() {
        let rest = || RequestContext::ApiGatewayV1(ApiGatewayProxyRequestContext::default());
        let page = "https://a.example";
        let known = "https://b.example, https://a.example";
        assert_eq!(allowed(known, page, rest()).as_deref(), Some(page));
        assert_eq!(allowed("*", page, rest()).as_deref(), Some(page));
        assert_eq!(allowed("https://a.example.org", page, rest()), None);
        assert_eq!(allowed("", page, rest()), None);
        // A function URL adds the headers itself, and browsers refuse duplicates.
        let url = RequestContext::ApiGatewayV2(ApiGatewayV2httpRequestContext::default());
        assert_eq!(allowed(known, page, url), None);
    }

    #[test]
    fn a_page_may_send_the_same_headers_to_every_endpoint() {
        let template = include_str!("../../../template.yaml");
        let (_, list) = template
            .split_once("AllowHeaders: &headers")
            .expect("a list of headers");
        let named: Vec<&str> = list
            .lines()
            .skip(1)
            .map(str::trim)
            .take_while(|line| line.starts_with(['-', '#']))
            .filter_map(|line| line.strip_prefix("- "))
            // No route of the Model Context Protocol is behind a REST API.
            .filter(|name| !name.starts_with("mcp-"))
            .collect();
        let here: Vec<&str> = HEADERS
            .split(',')
            .filter(|name| *name != "x-api-key")
            .collect();
        assert_eq!(here, named);
    }
}
