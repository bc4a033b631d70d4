//! The console in a browser, as a person uses it. Pictures of it are kept in `target/console/`.

mod access;
mod chat;
mod documents;
mod hostile;

use anyhow::Context as _;
use serde_json::json;
use tests::{App, Browser, Key};

use crate::Outcome;

/// The field of a search.
const SEARCH: &str = "input[type=search]";

#[tokio::test(flavor = "multi_thread")]
async fn a_person_searches_while_typing_reads_and_narrows() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    app.ingest_samples(&[
        "sante-brulure",
        "health-minor-burns",
        "library-late-returns",
    ])
    .await?;
    browser.go(&app.url()).await?;
    browser.read(".empty", "as you type").await?;
    browser.fill(SEARCH, "how do I treat a burn?").await?;
    browser
        .read(".hit h2", "First aid for a minor burn")
        .await?;
    browser.read(".summary", "hits in").await?;

    // Why it is first, with what the API said of it.
    browser.click(".why summary").await?;
    browser.read(".chart", "Coverage of the words").await?;
    let hit = app
        .hits(json!({ "query": "how do I treat a burn?" }))
        .await?;
    let score = hit[0]["score"].as_f64().context("a score")?;
    browser
        .read(".chart .number", &format!("{score:.3}"))
        .await?;
    browser.inspect_everywhere("search").await?;

    // Of two questions the later one's answer stays, in whatever order they come.
    browser.fill(SEARCH, "borrowed book").await?;
    browser
        .read(".hits > li:first-child h2", "Returning a book late")
        .await?;
    browser.click(".modes label:nth-of-type(3)").await?;
    browser
        .until("return location.hash.includes('mode=keyword')", vec![])
        .await?;

    // A click on metadata narrows, and another one takes that back.
    browser.click(".modes label:nth-of-type(1)").await?;
    browser.fill(SEARCH, "brûlure").await?;
    browser
        .read(".hits > li:first-child h2", "Premiers gestes")
        .await?;
    browser
        .click(".hits > li:first-child button.chip:nth-child(2)")
        .await?;
    browser.read(".chip.on", "language: fr").await?;
    browser
        .until(
            "return document.querySelectorAll('.hit').length === 1",
            vec![],
        )
        .await?;
    browser.click(".chip.on").await?;
    browser
        .until(
            "return document.querySelectorAll('.hit').length > 1",
            vec![],
        )
        .await?;

    // The document opens beside, with the passage marked, and the keyboard gets back to where it was.
    browser.click(".hits > li:first-child button.title").await?;
    browser.read("#panel mark", "Devant une brûlure").await?;
    browser.inspect_everywhere("document").await?;
    browser.press(Key::Escape).await?;
    browser
        .until(
            "return document.activeElement.matches('button.title')",
            vec![],
        )
        .await?;

    // A wrong field is named where it was typed; the API's own words are shown.
    browser.click(".options summary").await?;
    browser.fill(".fields input[type=text]", "[1]").await?;
    browser.see(".fields input[aria-invalid=true]").await?;
    browser.inspect("search-options").await?;
    browser.close().await
}
