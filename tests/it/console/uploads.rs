//! Files that are dropped on the documents in the console, and the list of documents.

use std::{fs, path::PathBuf};

use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;
use tests::{App, Browser, Key};

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
        file("huge.jsonl", format!("{{\"content\": \"{}\"}}", "é".repeat(4 << 20)).as_bytes())?,
        file("long.txt", "x".repeat(4_500_001).as_bytes())?,
        file("many.jsonl", format!("\u{feff}{lines}{{\"content\": 7}}\nno JSON\n{{\"id\": \"a?b\", \"content\": \"x\"}}\n").as_bytes())?,
        file("table.csv", "id;title;content;year\r\nrow-1;\"One; \"\"quoted\"\"\";\"two\r\nlines\";2024\r\n\r\nrow-2;;text;\r\n".as_bytes())?,
        file("comma.csv", "\u{feff}sep=,\nid,Content,n\nc-1,\"Words, words.\",1\nc-2,Words, words.,2\nc-3,\"Words\nc-4,x,1\n".as_bytes())?,
        file("head.csv", b"\"the\nnote\",id,content\nseen,h-1,Words.\n")?,
        file("notes.md", b"---\ntheme: notes\n---\nSome words.\n\n# The title\n\nMore words.")?,
        file("page.html", b"<html><title>A page</title><meta charset=iso-8859-1><main><p>Un caf\xe9.</p></main></html>")?,
        file("broad.txt", &[0xff, 0xfe, b'O', 0, b'n', 0, b'e', 0, b'.', 0])?,
        file("broken.pdf", b"%PDF-1.7 and no more")?,
        file("old.csv", b"content\ncaf\xe9\n")?,
        file("old.txt", b"caf\xe9")?,
        file("picture.png", b"x")?,
    ];
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.see("#files + *, label[for=files]").await?;
    browser.choose("#files", &files).await?;
    browser
        .read(".job", "38 stored, 0 of them unchanged; 10 refused")
        .await?;
    for refused in [
        "huge.jsonl:1 is larger than 6 MB",
        "long.txt is larger than 4.5 MB",
        "many.jsonl:31",
        "many.jsonl:32",
        "many.jsonl:33",
        "comma.csv:4 has another number of fields",
        "comma.csv:5 has a quotation mark",
        "broken.pdf:1 content_base64 cannot be read as PDF",
        "old.csv is not UTF-8",
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
    let old = app.get("/documents/old.txt", &[]).await?.success(200)?;
    assert_eq!(old["content"], "café");
    assert_eq!(old["title"], "old");
    let row = app.get("/documents/c-1", &[]).await?.success(200)?;
    assert_eq!(row["content"], "Words, words.");
    let row = app.get("/documents/h-1", &[]).await?.success(200)?;
    assert_eq!(row["metadata"], json!({ "the\nnote": "seen" }));
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
    page_and_sort(&browser).await?;
    browser.close().await
}

/// Pages forth and back, in another order, and only some.
async fn page_and_sort(browser: &Browser) -> Outcome {
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
    browser.inspect("documents-narrowed").await
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
