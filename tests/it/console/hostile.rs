//! Documents with HTML and script, which the console must not execute.

use serde_json::{Value, json};
use tests::{
    Browser, Key,
    language_model::{Reply, Step},
};

use super::SEARCH;
use crate::{Outcome, chat::app_with};

/// A document whose text is HTML.
fn hostile() -> Value {
    const SCRIPT: &str = "<script>window.owned = 1</script>";
    const IMAGE: &str = "<img src=x onerror=\"window.owned = 1\">";
    json!({
        "id": format!("menu-{IMAGE}"),
        "title": format!("Canteen {IMAGE}{SCRIPT}"),
        "content": format!("The canteen opens at noon. {SCRIPT}{IMAGE}</p></article><h1>Stolen</h1> ${{1+1}} {{{{1+1}}}}"),
        "metadata": { format!("kind {IMAGE}"): SCRIPT, "url": "javascript:window.owned=1", "place": "canteen" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_html_and_script_stays_text_on_every_page() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let says =
        "Noon [1] <img src=x onerror=\"window.owned = 1\"> **<script>window.owned = 1</script>**";
    let ends = Reply::Stream(vec![Step::Text(says), Step::Finish("<b>abort</b>")]);
    let (app, _model) = app_with([ends], &[]).await?;
    app.ingest(vec![hostile()]).await?;
    browser.go(&app.url()).await?;
    browser.fill(SEARCH, "canteen").await?;
    browser
        .read(".hit h2", "<script>window.owned = 1</script>")
        .await?;
    browser
        .read(".passage", "</p></article><h1>Stolen</h1> ${1+1} {{1+1}}")
        .await?;
    browser.click(".hit button.chip:nth-child(3)").await?;
    browser.read(".chip.on", "kind <img src=x").await?;
    browser.click(".hit button.title").await?;
    browser.read("#panel mark", "<img src=x onerror").await?;
    browser.read("#panel", "javascript:window.owned=1").await?;
    browser.gone("#panel a").await?;
    browser.inspect("hostile").await?;
    browser.press(Key::Escape).await?;
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.read("tbody", "<img src=x onerror").await?;
    browser.click("tbody button.title").await?;
    browser.click("#panel .danger").await?;
    browser.read("dialog.ask", "<script>").await?;
    browser.click("dialog.ask button[value=no]").await?;
    browser.press(Key::Escape).await?;
    browser.go(&format!("{}/#/chat", app.url())).await?;
    browser
        .fill(".composer textarea", "When does the canteen open?")
        .await?;
    browser.press(Key::Enter).await?;
    browser
        .read(".answer strong", "<script>window.owned = 1</script>")
        .await?;
    browser
        .read(".notice", "ended early (<b>abort</b>)")
        .await?;
    browser.read(".source", "<img").await?;
    browser.click(".cite").await?;
    browser.read("#panel blockquote", "<script>").await?;
    // An address that leads elsewhere than to a page is a page's name and nothing else.
    browser
        .go(&format!("{}/#/<img src=x onerror=alert(1)>", app.url()))
        .await?;
    browser.see(SEARCH).await?;
    assert_eq!(
        browser
            .run(
                "return [typeof owned, document.querySelectorAll('main img, main script').length]",
                vec![]
            )
            .await?,
        json!(["undefined", 0])
    );
    // What a policy refused, the browser would have complained of.
    browser.close().await
}
