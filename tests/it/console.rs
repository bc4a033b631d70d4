//! The console in a browser, as a person uses it. Pictures of it are kept in `target/console/`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    App, Browser, Key, Pace,
    keys::Keys,
    language_model::{Reply, Step},
};

use crate::{Outcome, chat::app_with};

const SEARCH: &str = "input[type=search]";

/// A document whose text is taken for HTML by whoever reads it as such.
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

    // What the API refuses is said in its words.
    browser.click("#panel .edit").await?;
    browser.fill("#panel textarea:not(.code)", "…").await?;
    browser.click("#panel .primary").await?;
    browser.read("#panel .problem code", "content").await?;
    browser.press(Key::Escape).await?;

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
        .map(|n| format!("{{\"id\": \"line-{n}\", \"content\": \"Line {n}.\", \"colour\": 7}}\n"))
        .collect();
    let files = [
        file("many.jsonl", format!("\u{feff}{lines}{{\"content\": 7}}\nno JSON\n{{\"id\": \"a?b\", \"content\": \"x\"}}\n").as_bytes())?,
        file("table.csv", "id;title;content;year\r\nrow-1;\"One; \"\"quoted\"\"\";\"two\r\nlines\";2024\r\n\r\nrow-2;;text;\r\n".as_bytes())?,
        file("notes.md", b"Some words.\n\n# The title\n\nMore words.")?,
        file("old.txt", b"caf\xe9")?,
        file("picture.png", b"x")?,
    ];
    browser.go(&format!("{}/#/documents", app.url())).await?;
    browser.see("#files + *, label[for=files]").await?;
    browser.choose("#files", &files).await?;
    browser
        .read(".job", "33 stored, 0 of them unchanged; 5 refused")
        .await?;
    for refused in [
        "many.jsonl:31",
        "many.jsonl:32",
        "many.jsonl:33",
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
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_streams_stops_and_shows_its_sources_beside_it() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let first = Reply::Stream(vec![
        Step::Text("Cool it **at once** "),
        Step::Wait,
        Step::Text("[1].\n\n- no ice [1]\n- no `butter` [9]"),
        Step::Finish("stop"),
    ]);
    let rewritten = Reply::text(&["how long should a burn be cooled"]);
    let second = Reply::Stream(vec![Step::Text("For ten"), Step::Hang]);
    let (app, model) = app_with([first, rewritten, second], &[]).await?;
    app.ingest_samples(&["health-minor-burns", "sante-brulure"])
        .await?;
    browser.go(&format!("{}/#/chat", app.url())).await?;
    browser
        .fill(".composer textarea", "How do I treat a burn?")
        .await?;
    browser.press(Key::Enter).await?;
    browser.read(".live strong", "at once").await?;
    browser
        .read(".sources", "First aid for a minor burn")
        .await?;
    browser.gone(".cite").await?;
    model.go_on();
    browser.read(".answer li", "no ice").await?;
    // The number of a source that there is none of stays text.
    browser
        .until(
            "return document.querySelectorAll('.cite').length === 2",
            vec![],
        )
        .await?;
    browser.read(".answer li code", "butter").await?;
    browser.click(".cite").await?;
    browser
        .read("#panel blockquote", "lukewarm running water")
        .await?;
    browser.inspect_everywhere("chat").await?;
    browser.click("#panel > button").await?;
    browser
        .read("#panel .summary", "health-minor-burns")
        .await?;
    browser.press(Key::Escape).await?;

    browser
        .fill(".composer textarea", "And for how long?")
        .await?;
    browser.click(".composer .primary").await?;
    browser.read(".live", "For ten").await?;
    browser.click(".composer .danger").await?;
    browser.read(".notice", "You stopped").await?;
    model.reader_left().await?;
    browser.read(".answer", "For ten").await?;

    // The endpoint has failed: the page says so, and goes on.
    browser.fill(".composer textarea", "And then?").await?;
    browser.press(Key::Enter).await?;
    browser.see(".problem").await?;
    browser.inspect("chat-failed").await?;
    browser.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_html_and_script_stays_text_on_every_page() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let says =
        "Noon [1] <img src=x onerror=\"window.owned = 1\"> **<script>window.owned = 1</script>**";
    let (app, _model) = app_with([Reply::text(&[says])], &[]).await?;
    app.ingest(vec![hostile()]).await?;
    browser.go(&app.url()).await?;
    browser.fill(SEARCH, "canteen").await?;
    browser
        .read(".hit h2", "<script>window.owned = 1</script>")
        .await?;
    browser
        .read(".passage", "</p></article><h1>Stolen</h1> ${1+1} {{1+1}}")
        .await?;
    browser.click("button.chip:nth-child(3)").await?;
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
    browser.fill("#key", "wrong").await?;
    browser.press(Key::Enter).await?;
    browser.read("dialog.ask", "it may have expired").await?;
    browser.fill("#key", "first").await?;
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
async fn a_database_that_is_away_is_said_so_on_every_page() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let nobody = "postgres://rappel@127.0.0.1:9/rappel".to_owned();
    let (app, ()) =
        App::through(async |_| Ok(((), vec![("DATABASE_URL".to_owned(), nobody)]))).await?;
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
async fn an_import_shows_how_far_it_is() -> Outcome {
    let Some(browser) = Browser::open("en-GB").await? else {
        return Ok(());
    };
    let (app, queue) = App::with_imports(Pace::default()).await?;
    let lines: String = (1..=40)
        .map(|n| format!("{{\"id\": \"{n}\", \"content\": \"Line {n}.\"}}\n"))
        .collect();
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
