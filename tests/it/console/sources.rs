//! Followed tables and API keys in the console.

use anyhow::Context as _;
use serde_json::json;
use tests::{App, Browser};

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_watches_a_table_and_makes_a_key_that_is_shown_once() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    let page = |name: &str| format!("{}/#/{name}", app.url());
    browser.go(&page("sources")).await?;
    browser.read(".empty code", "rappel follow").await?;
    let sql = app.user_sql().await?;
    sql.run("CREATE TABLE notes (id int PRIMARY KEY, title text, note text)")
        .await?;
    sql.run(
        "INSERT INTO notes SELECT n, 'Note ' || n, 'The note ' || n FROM generate_series(1, 8) AS n",
    )
    .await?;
    sql.run("UPDATE notes SET title = repeat('MARKER ', 200) WHERE id = 3")
        .await?;
    let definition =
        json!({ "table": "notes", "title": "title", "content": "note", "where": "id < 100" });
    app.follow("notes", definition).await?;
    browser.go(&page("health")).await?;
    browser.read(".verdict", "A search works").await?;
    browser.go(&page("sources")).await?;
    browser
        .read(".source-card .state", "reading all rows")
        .await?;
    browser.read(".source-card .documents dd", "0").await?;

    // It shows by itself what the worker has done.
    app.synced("notes").await?;
    browser.read(".source-card .state", "following").await?;
    browser.read(".source-card .documents dd", "7").await?;
    browser.read(".source-card .failures dd", "1").await?;
    browser.click(".source-card summary").await?;
    browser.read(".source-card li", "the limit is 1000").await?;
    browser.inspect_everywhere("sources").await?;
    browser.click(".source-card .resync").await?;
    browser
        .read(".source-card .state", "reading all rows")
        .await?;
    sql.run("UPDATE notes SET title = 'Short' WHERE id = 3")
        .await?;
    app.synced("notes").await?;
    browser.read(".source-card .documents dd", "8").await?;

    browser.go(&page("keys")).await?;
    browser.read(".empty", "no keys yet").await?;
    browser
        .fill("main form input[type=text]", "The website")
        .await?;
    browser.click("main form .primary").await?;
    browser.read(".created", "shown only this once").await?;
    browser.read("tbody th", "The website").await?;
    let key = browser
        .run(
            "return document.querySelector('.created input').value",
            vec![],
        )
        .await?;
    let key = key.as_str().context("a key")?;
    let known = app.get("/keys", &[]).await?.success(200)?;
    let known = &known["keys"][0];
    assert_eq!(known["scopes"], json!(["search"]));
    let prefix = known["prefix"].as_str().context("a prefix")?;
    assert!(key.len() == 53 && key.starts_with(prefix), "{key} {known}");
    browser.click(".copy").await?;
    browser.read(".copy", "Copied").await?;
    browser.inspect_everywhere("keys").await?;

    // A wrong filter of a key is named at its field.
    browser.click("main form summary").await?;
    // One that is typed wrong makes no key that sees everything.
    browser.fill(".condition", "language").await?;
    browser
        .fill("main form input[type=text]", "Sees all")
        .await?;
    browser.click("main form .primary").await?;
    browser.see(".condition[aria-invalid=true]").await?;
    let known = app.get("/keys", &[]).await?.success(200)?;
    assert_eq!(known["keys"].as_array().map(Vec::len), Some(1), "{known}");
    browser.fill(".condition", "$near=1").await?;
    browser.click(".with-button button").await?;
    browser.fill("main form input[type=text]", "Wrong").await?;
    browser.click("main form .primary").await?;
    browser.read(".fault code", "filter.$near").await?;

    browser.click("tbody .danger").await?;
    browser.read("dialog.ask", "Revoke “The website”?").await?;
    browser.click("dialog.ask button[value=yes]").await?;
    browser.read("tbody .state", "revoked").await?;
    browser.go(&page("health")).await?;
    browser.go(&page("keys")).await?;
    browser.read("tbody .state", "revoked").await?;
    browser.gone(".created").await?;
    let second = json!({ "name": "Second", "scopes": ["search"] });
    app.post("/keys", second).await?.success(201)?;
    browser.go(&page("health")).await?;
    turn_pages_of_keys(&browser, &page("keys")).await?;
    browser.close().await
}

/// Two clicks on the button for more keys show the next page once.
async fn turn_pages_of_keys(browser: &Browser, url: &str) -> Outcome {
    /// A script after which a page has one key, and that counts the pages.
    const SHORT: &str = "const send = window.fetch;
        window.pages = 0;
        window.fetch = async (address, options) => {
          const response = await send(address.replace('limit=100', 'limit=1'), options);
          const text = await response.text();
          window.pages += address.startsWith('/keys');
          return new Response(text, response);
        };";
    const TWICE: &str = "const more = document.querySelector('main > [tabindex] > button');
        more.click();
        more.click();";
    browser.run(SHORT, vec![]).await?;
    browser.go(url).await?;
    browser.read("tbody th", "Second").await?;
    browser.run(TWICE, vec![]).await?;
    let all = "return window.pages === 3 && document.querySelectorAll('tbody tr').length === 2";
    browser.until(all, vec![]).await?;
    browser.gone("main > [tabindex] > button").await?;
    browser.read("tbody th", "The website").await
}
