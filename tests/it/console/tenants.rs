//! Tenants in the console.

use serde_json::json;
use tests::{App, Browser, Key, Pace};

use crate::{
    Outcome,
    access::{key, store},
};

/// A script that reads the first limit of the tenant that is open.
const LIMIT: &str = "return document.querySelector('details[open] input').value";

/// Environment variables of a deployment that wants keys.
fn keys() -> Vec<(String, String)> {
    let variables = [("AUTHORIZATION", "keys"), ("CONSOLE_AUTHORIZATION", "keys")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    variables.to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_limits_a_tenant_and_removes_it() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let (app, _queue) = App::with_imports_and(Pace::default(), keys()).await?;
    let operator = key(&app, &["--scope", "search,write,admin"]).await?;
    for tenant in ["acme", "other"] {
        let options = ["--scope", "search,write,admin", "--tenant", tenant];
        store(&app, &key(&app, &options).await?, "plan", json!({})).await?;
    }

    browser.go(&format!("{}/#/tenants", app.url())).await?;
    browser.fill("#key", &operator).await?;
    browser.press(Key::Enter).await?;
    browser.read(".tenant-card h2", "acme").await?;
    browser.read(".tenant-card .summary", "1 document").await?;
    browser.click(".tenant-card summary").await?;
    browser.read(".tenant-card .chunks dd", "1").await?;
    browser.fill(".tenant-card input", "120").await?;
    browser.click(".tenant-card .primary").await?;
    browser.read(".tenant-card .stack", "are saved").await?;
    browser.inspect_everywhere("tenants").await?;
    browser.run("location.reload()", vec![]).await?;
    browser.click(".tenant-card summary").await?;
    browser.read(".tenant-card .chunks dd", "1").await?;
    assert_eq!(browser.run(LIMIT, vec![]).await?, json!("120"));

    // One that has no documents yet can be limited too; a name that none can have is named.
    browser.fill("main form input[type=text]", "a b").await?;
    browser.press(Key::Enter).await?;
    browser.read(".problem", "id").await?;
    browser.fill("main form input[type=text]", "new").await?;
    browser.press(Key::Enter).await?;
    browser.read(".tenant-card:last-of-type h2", "new").await?;

    browser.click(".tenant-card .danger").await?;
    browser.read("dialog.ask", "Remove “acme”?").await?;
    browser.click("dialog.ask button[value=yes]").await?;
    browser.gone(".removing").await?;
    browser
        .read(".tenant-card > .row .summary", "removed ")
        .await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_of_a_tenant_looks_at_it_alone() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let (app, _queue) = App::with_imports_and(Pace::default(), keys()).await?;
    let options = ["--scope", "search,write,admin", "--tenant", "acme"];
    let own = key(&app, &options).await?;
    store(&app, &own, "plan", json!({})).await?;
    browser.go(&format!("{}/#/tenants", app.url())).await?;
    browser.fill("#key", &own).await?;
    browser.press(Key::Enter).await?;
    browser
        .read(".notice", "You may look at your own tenant")
        .await?;
    browser.fill("main form input[type=text]", "acme").await?;
    browser.press(Key::Enter).await?;
    browser.read(".tenant-card .chunks dd", "1").await?;
    browser.gone(".tenant-card .danger").await?;
    browser.inspect("tenants-own").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_told_and_no_other_key_is_asked_for() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let (app, _queue) = App::with_imports_and(Pace::default(), keys()).await?;
    let options = ["--scope", "search,write", "--max-documents", "1"];
    let full = key(&app, &options).await?;
    store(&app, &full, "plan", json!({})).await?;
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.fill("#key", &full).await?;
    browser.press(Key::Enter).await?;
    browser.read("tbody td.id", "plan").await?;
    browser.click("main button.primary").await?;
    browser
        .fill("#panel textarea:not(.code)", "One more.")
        .await?;
    browser.click("#panel .primary").await?;
    browser
        .read("#panel .problem", "nothing was stored")
        .await?;
    browser.gone("dialog.ask").await?;
    browser.close().await
}
