//! Documents and imports in the console.

use reqwest::Method;
use serde_json::json;
use tests::{App, Browser, Key, Pace};

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_made_edited_and_deleted_after_a_question() -> Outcome {
    let Some(browser) = Browser::open("fr-FR").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.read(".empty", "pas encore de documents").await?;
    browser.read("#said", "pas encore de documents").await?;

    browser.click("main button.primary").await?;
    browser
        .fill("#panel .field:nth-of-type(1) input", "plage/horaires")
        .await?;
    browser
        .fill("#panel .field:nth-of-type(2) input", "Plage")
        .await?;
    browser
        .fill(
            "#panel textarea:not(.code)",
            "La plage ferme à 22 heures en été.",
        )
        .await?;
    browser
        .fill("#panel textarea.code", r#"{"saison": "été"}"#)
        .await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .content", "22 heures").await?;
    browser.read("tbody td.id", "plage/horaires").await?;
    let stored = app
        .get("/documents/plage/horaires", &[])
        .await?
        .success(200)?;
    assert_eq!(stored["metadata"], json!({ "saison": "été" }));

    browser.click("#panel .edit").await?;
    browser
        .fill(
            "#panel textarea:not(.code)",
            "La plage ferme à 23 heures en été.",
        )
        .await?;
    browser.fill("#panel textarea.code", "saison").await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .problem", "pas du JSON").await?;
    browser.fill("#panel textarea.code", "{}").await?;
    browser.inspect_everywhere("edit").await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .content", "23 heures").await?;
    edit_what_others_edit(&browser, &app).await?;

    // What the API refuses is said in its words.
    browser.click("#panel .edit").await?;
    browser.fill("#panel textarea:not(.code)", "…").await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .problem code", "content").await?;
    keep_what_is_written(&browser).await?;

    browser.click("tbody button.title").await?;
    browser.click("#panel .danger").await?;
    browser.read("dialog.ask", "Supprimer « Plage » ?").await?;
    browser.inspect("delete").await?;
    browser.click("dialog.ask button[value=no]").await?;
    app.get("/documents/plage/horaires", &[])
        .await?
        .success(200)?;
    browser.click("#panel .danger").await?;
    browser.click("dialog.ask button[value=yes]").await?;
    browser.read(".empty", "pas encore de documents").await?;
    app.get("/documents/plage/horaires", &[])
        .await?
        .problem(404, "not-found")?;

    // The language is the reader's, and may be changed.
    browser.click(".tools button[lang=en]").await?;
    browser.read(".empty", "There are no documents yet").await?;
    browser
        .until("return document.documentElement.lang === 'en'", vec![])
        .await?;
    browser.close().await
}

/// What is written in a form is lost by no key, no click beside it and no other page without a question.
async fn keep_what_is_written(browser: &Browser) -> Outcome {
    const WRITTEN: &str = "return document.querySelector('#panel textarea')?.value === '…'";
    browser.press(Key::Escape).await?;
    browser.read("dialog.ask", "n’est pas enregistré").await?;
    browser.inspect("unsaved").await?;
    browser.click("dialog.ask button[value=no]").await?;
    browser.click("tbody button.title").await?;
    browser.click("dialog.ask button[value=no]").await?;
    browser.click("nav a[href='#/health']").await?;
    browser.see(".verdict").await?;
    browser.until(WRITTEN, vec![]).await?;
    browser.click("nav a[href='#/documents']").await?;
    browser.see("tbody button.title").await?;
    browser.until(WRITTEN, vec![]).await?;
    browser.click("#panel .close").await?;
    browser.click("dialog.ask button[value=yes]").await?;
    browser.gone("#panel form").await
}

/// Two people change the document at once; nothing is lost without a question.
async fn edit_what_others_edit(browser: &Browser, app: &App) -> Outcome {
    let path = "/documents/plage/horaires";
    browser.click("#panel .similar").await?;
    browser.read("#panel", "pas d’autres documents").await?;

    // A title is changed without the rest, whose numbers keep digits that no browser's number has.
    let other = r#"{"title": "Plage", "content": "Elle ferme\r\nà 23 heures.", "metadata": {"places": 12345678901234567890.10}}"#;
    let json = [("content-type", "application/json")];
    let put = app.request(Method::PUT, path, &json, other.into());
    put.await?.success(200)?;
    browser.press(Key::Escape).await?;
    browser.click("tbody button.title").await?;
    browser
        .read("#panel .chip", "12345678901234567890.10")
        .await?;
    browser.click("#panel .edit").await?;
    browser
        .fill("#panel .field:nth-of-type(1) input", "Plage du nord")
        .await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel h2", "Plage du nord").await?;
    let stored = app.get(path, &[]).await?;
    assert!(
        stored.text.contains("12345678901234567890.10"),
        "{}",
        stored.text
    );
    assert_eq!(
        stored.success(200)?["content"],
        "Elle ferme\r\nà 23 heures."
    );

    browser.click("#panel .edit").await?;
    browser
        .fill("#panel .field:nth-of-type(1) input", "Plage du sud")
        .await?;
    let season = json!({ "metadata": { "saison": "été" } });
    let body = season.to_string().into_bytes();
    let changed = app.request(Method::PATCH, path, &json, body);
    changed.await?.success(200)?;
    browser.click("#panel .primary").await?;
    browser
        .read("#panel .stale", "modifié depuis que vous")
        .await?;
    browser.read("#panel .stale .content", "23 heures").await?;
    browser.inspect_everywhere("conflict").await?;
    browser.click("#panel .stale .row button").await?;
    browser.read("#panel h2", "Modifier le document").await?;
    browser.gone("#panel .stale").await?;
    browser
        .fill("#panel .field:nth-of-type(1) input", "Plage")
        .await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .chip", "saison: été").await?;
    browser.read("#panel h2", "Plage").await?;

    // Where pages begin is not true of another text.
    let pages = json!({ "metadata": { "page_starts": [0, 4] } });
    let body = pages.to_string().into_bytes();
    let changed = app.request(Method::PATCH, path, &json, body);
    changed.await?.success(200)?;
    browser.click("tbody button.title").await?;
    browser.read("#panel .chip", "page_starts: 4").await?;
    browser.click("#panel .edit").await?;
    browser
        .fill("#panel textarea:not(.code)", "Elle ferme à minuit.")
        .await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .content", "minuit").await?;
    let stored = app.get(path, &[]).await?.success(200)?;
    assert_eq!(stored["metadata"]["page_starts"], json!(null));
    assert_eq!(stored["metadata"]["saison"], "été");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_shows_how_far_it_is() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let (app, queue) = App::with_imports(Pace::default()).await?;
    let lines: String = (1..=40)
        .map(|n| format!("{{\"id\": \"{n}\", \"content\": \"Line {n}.\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let source = queue.put("many.jsonl", format!("{lines}no JSON\n")).await?;
    browser.go(&format!("{}/#/imports", app.url())).await?;
    browser.fill("form.line input", &source).await?;
    browser.press(Key::Enter).await?;
    browser.read(".card h2", "many.jsonl").await?;
    browser.read(".card .state", "done").await?;
    browser
        .read(
            ".card",
            "40 documents stored, 0 of them unchanged, 1 failed",
        )
        .await?;
    browser.click(".card summary").await?;
    browser.read(".card li", "line 41").await?;
    browser.inspect("import").await?;
    browser.close().await
}
