//! Documents, uploads and imports in the console.

use std::{fs, path::PathBuf};

use anyhow::Result;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tests::{App, Browser, Key, Pace};

use crate::Outcome;

/// A script after which the second page of documents is empty, once, and that notes that the first one was asked for again.
const EMPTY_PAGE: &str = "const send = window.fetch;
    window.fetch = (address, options) => {
      if (!window.turned && address.includes('cursor=')) {
        window.turned = 'there';
        return Promise.resolve(Response.json({ documents: [], next_cursor: null, total: 20, total_is_exact: true }));
      }
      if (window.turned === 'there' && address.startsWith('/documents?')) window.turned = 'back';
      return send(address, options);
    };";

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_made_edited_and_deleted_after_a_question() -> Outcome {
    let Some(browser) = Browser::open("fr-FR").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.read(".empty", "pas encore de documents").await?;

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
async fn files_are_read_in_the_page_and_what_is_refused_is_listed() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    let folder = TempDir::new()?;
    let file = |name: &str, content: &[u8]| -> Result<PathBuf> {
        let path = folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    };
    let lines: String = (1..=30)
        .map(|n| format!("{{\"id\": \"line-{n}\", \"content\": \"Line {n}.\", \"colour\": 7, \"metadata\": {{\"n\": {n}00000000000000000.10}}}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let files = [
        file("huge.txt", "é".repeat(4 << 20).as_bytes())?,
        file("many.jsonl", format!("\u{feff}{lines}{{\"content\": 7}}\nno JSON\n{{\"id\": \"a?b\", \"content\": \"x\"}}\n").as_bytes())?,
        file("table.csv", "id;title;content;year\r\nrow-1;\"One; \"\"quoted\"\"\";\"two\r\nlines\";2024\r\n\r\nrow-2;;text;\r\n".as_bytes())?,
        file("comma.csv", "\u{feff}sep=,\nid,Content,n\nc-1,\"Words, words.\",1\nc-2,Words, words.,2\nc-3,\"Words\nc-4,x,1\n".as_bytes())?,
        file("notes.md", b"---\ntheme: notes\n---\nSome words.\n\n# The title\n\nMore words.")?,
        file("page.html", b"<html><title>A page</title><meta charset=iso-8859-1><main><p>Un caf\xe9.</p></main></html>")?,
        file("broad.txt", &[0xff, 0xfe, b'O', 0, b'n', 0, b'e', 0, b'.', 0])?,
        file("broken.pdf", b"%PDF-1.7 and no more")?,
        file("old.txt", b"caf\xe9")?,
        file("picture.png", b"x")?,
    ];
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.see("#files + *, label[for=files]").await?;
    browser.choose("#files", &files).await?;
    browser
        .read(".job", "36 stored, 0 of them unchanged; 9 refused")
        .await?;
    for refused in [
        "huge.txt:1 is larger than 6 MB",
        "many.jsonl:31",
        "many.jsonl:32",
        "many.jsonl:33",
        "comma.csv:4 has another number of fields",
        "comma.csv:5 has a quotation mark",
        "broken.pdf:1 content_base64 cannot be read as PDF",
        "old.txt is not UTF-8",
        "picture.png is of another kind",
    ] {
        browser.read(".job li", refused).await?;
    }
    browser.inspect_everywhere("documents").await?;
    let row = app.get("/documents/row-1", &[]).await?.success(200)?;
    assert_eq!(row["title"], "One; \"quoted\"");
    assert_eq!(row["content"], "two\r\nlines");
    assert_eq!(row["metadata"], json!({ "year": "2024" }));
    let note = app.get("/documents/notes.md", &[]).await?.success(200)?;
    assert_eq!(note["title"], "The title");
    assert_eq!(note["metadata"], json!({ "theme": "notes" }));
    let page = app.get("/documents/page.html", &[]).await?.success(200)?;
    assert_eq!(page["title"], "A page");
    let content = page["content"].as_str().unwrap_or_default();
    assert!(content.contains("Un café."), "{page}");
    let row = app.get("/documents/c-1", &[]).await?.success(200)?;
    assert_eq!(row["content"], "Words, words.");
    let line = app.get("/documents/line-7", &[]).await?;
    assert!(line.text.contains("700000000000000000.10"), "{}", line.text);

    // Dropped, a file is read too.
    let drop = "const data = new DataTransfer();
        data.items.add(new File(['Dropped words.'], 'dropped.txt'));
        document.querySelector('.drop').dispatchEvent(
          new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));";
    browser.run(drop, vec![]).await?;
    browser
        .read(".job", "1 stored, 0 of them unchanged; 0 refused")
        .await?;
    app.get("/documents/dropped.txt", &[]).await?.success(200)?;

    // Pages forth and back.
    browser.read("tbody td.id", "line-1").await?;
    browser.click("nav button:last-child").await?;
    browser.read("nav .summary", "Page 2").await?;
    browser.read("tbody td.id", "row-2").await?;
    browser.click("nav button:first-child").await?;
    browser.read("nav .summary", "Page 1").await?;

    // A last page whose documents are gone is left.
    browser.run(EMPTY_PAGE, vec![]).await?;
    browser.click("nav button:last-child").await?;
    browser
        .until("return window.turned === 'back'", vec![])
        .await?;
    browser.read("nav .summary", "Page 1").await?;

    // In another order, and only some.
    let sort = "const sort = document.querySelector('main select'); sort.value = '-id'; sort.dispatchEvent(new Event('change'));";
    browser.run(sort, vec![]).await?;
    browser.read("tbody tr:first-child td.id", "row-2").await?;
    browser.click(".narrowing summary").await?;
    browser.fill(".condition", "year=\"2024\"").await?;
    browser.press(Key::Enter).await?;
    browser
        .until(
            "return document.querySelectorAll('tbody tr').length === 1",
            vec![],
        )
        .await?;
    browser.read("tbody td.id", "row-1").await?;
    browser.inspect("documents-narrowed").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_is_always_too_slow_stops_no_others() -> Outcome {
    /// API Gateway answers so when a function takes too long.
    const SLOW: &str = r#"const send = window.fetch;
        window.fetch = (address, options) => options?.body?.includes('"slow.txt"')
          ? Promise.resolve(new Response('{"message":"Service Unavailable"}', { status: 503 }))
          : send(address, options);"#;
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let app = App::start().await?;
    let folder = TempDir::new()?;
    let mut files = Vec::new();
    for name in ["one.txt", "slow.txt", "two.txt", "three.txt"] {
        let path = folder.path().join(name);
        fs::write(&path, format!("The text of {name}."))?;
        files.push(path);
    }
    let later = files.split_off(3);
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.see("label[for=files]").await?;
    browser.run(SLOW, vec![]).await?;
    browser.choose("#files", &files).await?;
    // More files are sent after these.
    browser.see(".job progress").await?;
    browser.choose("#files", &later).await?;
    browser
        .read(".job", "3 stored, 0 of them unchanged; 1 refused")
        .await?;
    browser
        .read(".job li", "slow.txt:1 takes longer than a request may")
        .await?;
    browser.read("tbody td.id", "three.txt").await?;
    browser.close().await
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
