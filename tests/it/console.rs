//! The console in a browser, as a person uses it. Pictures of it are kept in `target/console/`.

mod access;
mod chat;
mod documents;
mod hostile;
mod sources;
mod tenants;
mod uploads;

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
    browser.read(".conditions", "language: fr").await?;
    hits(&browser, "=== 1").await?;
    browser.click(".conditions .chip").await?;
    hits(&browser, "> 1").await?;
    narrow(&browser).await?;

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

    // Pages of hits.
    browser.click(".options summary").await?;
    browser.fill(".fields input[type=number]", "1").await?;
    hits(&browser, "=== 1").await?;
    browser.click("#results nav button:last-child").await?;
    browser.read("#results nav", "Hits 2 to 2").await?;
    browser
        .until("return location.hash.includes('offset=1')", vec![])
        .await?;
    browser.inspect("search-options").await?;
    browser.click("#results nav button:first-child").await?;
    browser.read("#results nav", "Hits 1 to 1").await?;
    addresses(&browser, &app.url()).await?;
    browser.close().await
}

/// An address says all that is asked for, also in a page that is open.
async fn addresses(browser: &Browser, url: &str) -> Outcome {
    let filter = "%7B%22language%22%3A%22fr%22%7D";
    browser
        .go(&format!("{url}/#/search?q=burn&filter={filter}"))
        .await?;
    browser.read(".conditions", "language: fr").await?;
    browser
        .go(&format!("{url}/#/search?q=a+late+book?&mode=keyword"))
        .await?;
    browser
        .until(
            "return document.querySelector('input[type=search]').value === 'a late book?'",
            vec![],
        )
        .await?;
    browser
        .until(
            "return document.querySelector('.modes label:nth-of-type(3) input').checked",
            vec![],
        )
        .await?;
    browser.gone(".conditions .chip").await?;
    // Names of what every object has are no pages.
    browser.go(&format!("{url}/#/constructor")).await?;
    browser.see(SEARCH).await?;
    Ok(())
}

/// Waits for a number of hits, such as `=== 1`.
async fn hits(browser: &Browser, number: &str) -> Outcome {
    let script = format!("return document.querySelectorAll('.hit').length {number}");
    browser.until(&script, vec![]).await
}

/// Narrows by facets and by conditions, which are taken back again.
async fn narrow(browser: &Browser) -> Outcome {
    browser.read(".facet", "language").await?;
    browser.read(".facet button", "en 2").await?;
    browser.click(".facet button[aria-pressed=false]").await?;
    browser.see(".facet button[aria-pressed=true]").await?;
    browser.see(".conditions .chip").await?;
    // The keyboard stays where it was, although the values are counted anew.
    browser
        .until(
            "return document.activeElement.matches('.facet button[aria-pressed=true]')",
            vec![],
        )
        .await?;
    browser.inspect_everywhere("facets").await?;
    browser.click(".facet button[aria-pressed=true]").await?;
    browser.gone(".conditions .chip").await?;

    browser.fill(".condition", "theme=health").await?;
    browser.press(Key::Enter).await?;
    browser.read(".conditions", "theme: health").await?;
    hits(browser, "=== 1").await?;
    browser.fill(".condition", "language!=en").await?;
    browser.press(Key::Enter).await?;
    browser.read("#results", "Nothing found").await?;
    browser.run("location.reload()", vec![]).await?;
    browser.read(".conditions", "language != en").await?;
    browser.click(".conditions .chip:last-child").await?;
    hits(browser, "=== 1").await?;

    // What is wrong with a condition is said where it was typed, by the page or by the API.
    browser.fill(".condition", "theme").await?;
    browser.press(Key::Enter).await?;
    browser.see(".condition[aria-invalid=true]").await?;
    browser
        .fill(".condition", r#"{"theme": {"$near": "health"}}"#)
        .await?;
    browser.press(Key::Enter).await?;
    browser.read(".fault code", "filter.theme.$near").await?;
    browser.inspect_everywhere("condition").await?;
    browser.click(".conditions .chip:last-child").await?;
    browser.gone(".fault code").await?;
    hits(browser, "=== 1").await?;
    browser.click(".conditions .chip").await?;
    hits(browser, "> 1").await
}
