//! Keys, expired keys, and an unavailable API.

use serde_json::json;
use tests::{App, Browser, Key, keys::Keys};

use super::SEARCH;
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_asked_for_once_and_again_when_it_has_expired() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    app.ingest_samples(&["library-late-returns"]).await?;
    let keys = Keys::before(&app.url()).await?;
    keys.only("first");
    browser.go(&keys.url()).await?;
    browser.fill(SEARCH, "late book").await?;
    browser
        .read("dialog.ask", "answers only those who have a key")
        .await?;
    browser.inspect_everywhere("key").await?;
    // What no header can hold is refused where it is typed: sent, it would look like an unavailable API.
    browser.fill("#key", "rpl_abc…").await?;
    browser.press(Key::Enter).await?;
    browser.see("#key:invalid").await?;
    browser.fill("#key", "wrong").await?;
    browser.press(Key::Enter).await?;
    browser.read("dialog.ask", "it may have expired").await?;
    browser.fill("#key", " Bearer first ").await?;
    browser.press(Key::Enter).await?;
    browser.read(".hit h2", "Returning a book late").await?;
    let kept =
        "return [Object.values(sessionStorage), Object.values(localStorage), document.cookie]";
    assert_eq!(browser.run(kept, vec![]).await?, json!([["first"], [], ""]));

    // It lasts for the other pages and a reload.
    browser.go(&format!("{}/#/documents", keys.url())).await?;
    browser.run("location.reload()", vec![]).await?;
    browser.read("tbody", "library-late-returns").await?;
    keys.only("second");
    browser.go(&format!("{}/#/health", keys.url())).await?;
    browser.read("dialog.ask", "it may have expired").await?;
    browser.click("dialog.ask button[type=button]").await?;
    browser
        .read(".problem", "The API refused the request")
        .await?;
    browser.click(".problem button").await?;
    browser.fill("#key", "second").await?;
    browser.press(Key::Enter).await?;
    browser.read(".verdict", "A search works").await?;
    browser.inspect_everywhere("health").await?;
    browser.click(".tools button").await?;
    assert_eq!(
        browser.run("return sessionStorage.length", vec![]).await?,
        json!(0)
    );

    // Nobody answers any more.
    drop(keys);
    browser.click("main button").await?;
    browser
        .read(".problem", "The API cannot be reached")
        .await?;
    browser.inspect("away").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_reports_an_unavailable_database() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let variables = [
        ("DATABASE_URL", "postgres://rappel@127.0.0.1:9/rappel"),
        ("AUTHORIZATION", "open"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (app, ()) = App::through(async |_| Ok(((), variables.to_vec()))).await?;
    browser
        .go(&format!("{}/#/search?q=late+book", app.url()))
        .await?;
    browser
        .read(".problem", "The database is unavailable")
        .await?;
    browser.read(".problem small", "Request ").await?;
    browser.inspect("database-away").await?;
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.read(".problem button", "Try again").await?;
    for page in ["sources", "keys", "tenants"] {
        browser.go(&format!("{}/#/{page}", app.url())).await?;
        browser.read(".problem button", "Try again").await?;
    }
    browser.go(&format!("{}/#/health", app.url())).await?;
    browser.read(".verdict.failed", "A search fails").await?;
    browser.inspect("health-failed").await?;
    // There is no queue either, and no language model.
    browser.go(&format!("{}/#/imports", app.url())).await?;
    browser.fill("form.line input", "s3://bucket/key").await?;
    browser.press(Key::Enter).await?;
    browser.see(".problem").await?;
    browser.inspect_everywhere("imports").await?;
    browser.go(&format!("{}/#/chat", app.url())).await?;
    browser.fill(".composer textarea", "Anybody there?").await?;
    browser.press(Key::Enter).await?;
    browser.read(".problem", "LLM_BASE_URL").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_requests_are_signed_the_console_says_that_a_browser_cannot() -> Outcome {
    let Some(browser) = Browser::open("fr-CA").await? else {
        return Ok(());
    };
    let signed =
        [("CONSOLE_AUTHORIZATION", "iam")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (app, ()) = App::through(async |_| Ok(((), signed.to_vec()))).await?;
    browser.go(&app.url()).await?;
    browser.read("h1", "requêtes signées").await?;
    browser.read("main li", "Authorization=jwt").await?;
    browser.inspect_everywhere("iam").await?;
    assert!(!app.logged()?.contains("/search"), "nothing was asked for");
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_that_takes_tokens_works_where_other_requests_are_signed() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let variables = [
        ("CONSOLE_AUTHORIZATION", "iam"),
        ("CONSOLE_CHAT_AUTHORIZATION", "jwt"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let (app, ()) = App::through(async |_| Ok(((), variables.to_vec()))).await?;
    browser.go(&app.url()).await?;
    browser.read("h1", "takes signed requests").await?;
    browser.click("main a").await?;
    browser.see(".composer textarea").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_keeps_nothing_has_a_console() -> Outcome {
    /// As a browser does that blocks cookies.
    const BLOCKED: &str = "for (const name of ['sessionStorage', 'localStorage']) {
        Object.defineProperty(window, name, { get() { throw new DOMException('blocked', 'SecurityError'); } });
    }";
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    app.ingest_samples(&["library-late-returns"]).await?;
    let keys = Keys::before(&app.url()).await?;
    keys.only("first");
    browser.before_pages(BLOCKED).await?;
    browser.go(&keys.url()).await?;
    browser.fill(SEARCH, "late book").await?;
    browser.fill("#key", "first").await?;
    browser.press(Key::Enter).await?;
    browser.read(".hit h2", "Returning a book late").await?;
    browser.click(".tools button[lang=fr]").await?;
    browser.read(".summary", "résultat").await?;
    browser.click("nav a[href='#/imports']").await?;
    browser.see("form.line input").await?;
    browser.close().await
}
