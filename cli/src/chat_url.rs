//! Where the chat of an API is. On AWS it has a host of its own, because the HTTP APIs of API Gateway cannot stream.

use reqwest::Method;

use crate::remote::{Api, ApiResponse};

/// What to do if an API has no chat, and its console knows none.
pub(crate) const UNKNOWN: &str =
    "the API does not serve /chat: give --chat-url, the output `ChatUrl` of a stack";

/// The attribute of the console's page that has the chat's address.
const ATTRIBUTE: &str = "data-chat=\"";

/// The chat's address, if it has another host than the API at `url`: the console's page has it.
pub(crate) async fn elsewhere(api: &Api, url: &str) -> Option<String> {
    let request = api.request(Method::GET, &format!("{url}/"));
    let page = ApiResponse::of(api, request, url).await.ok()?;
    let address = page.status.is_success().then(|| in_page(&page.text))??;
    // A key that reaches the API encrypted reaches its chat so too.
    let is_as_safe = address.starts_with("https://")
        || url.starts_with("http://") && address.starts_with("http://");
    is_as_safe.then(|| address.to_owned())
}

fn in_page(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(ATTRIBUTE)?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::in_page;

    #[test]
    fn the_page_of_the_console_names_the_chat() {
        let page = include_str!("../../functions/console/site/index.html");
        assert_eq!(in_page(page), Some("{{chat}}"));
        assert_eq!(in_page("<html lang=\"en\">"), None);
    }
}
