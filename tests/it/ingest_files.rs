//! Files in requests: PDF, DOCX, HTML and Markdown become documents, or are refused with a reason.

use anyhow::{Context as _, Result};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tests::{
    App,
    files::{docx, pdf},
};

use crate::Outcome;

const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// Three full pages, of which the second says when the siren is tested.
fn report() -> Result<String> {
    let page = |page: usize| -> Vec<String> {
        let line = |line| format!("Page {page}, line {line}: the daily log is kept by the warden.");
        (0..60).map(line).collect()
    };
    let mut pages = vec![page(1), page(2), page(3)];
    "The emergency siren is tested on the first Tuesday of October.".clone_into(&mut pages[1][30]);
    Ok(STANDARD.encode(pdf("Station report", &pages)?))
}

/// Field and detail of each error.
fn errors(body: &str) -> Result<Vec<(String, String)>> {
    let body: Value = serde_json::from_str(body)?;
    let errors = body["errors"].as_array().context("it has errors")?;
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    Ok(errors
        .iter()
        .map(|error| (text(error, "field"), text(error, "detail")))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_request_is_a_document_with_its_pages() -> Outcome {
    let app = App::start().await?;
    let documents = json!([
        { "id": "report", "content_type": "application/pdf", "content_base64": report()?, "metadata": { "year": 2026 } },
        { "id": "letter", "content_type": DOCX, "title": "A letter",
          "content_base64": STANDARD.encode(docx("Complaint", "The valve in Mill Lane still drips.")?) },
        { "id": "page", "content_type": "text/html; charset=utf-8",
          "content": "<html lang=fr><title>Accueil</title><nav>Menu</nav><main><p>La station ouvre \u{e0} huit heures.</main>" },
        { "id": "note", "content_type": "text/markdown", "content": "---\nauthor: Nora Quill\n---\n# Filter\n\nRinse it.\n" },
        { "id": "manuals/Valve list.txt", "content_type": "text/plain", "content": "They drip." },
    ]);
    let body = json!({ "documents": documents });
    app.post("/documents", body.clone()).await?.success(200)?;

    let query = json!({ "query": "when is the emergency siren tested", "limit": 1 });
    let found = app.post("/search", query).await?.success(200)?;
    let hit = &found["hits"][0];
    assert_eq!(
        (&hit["document_id"], &hit["title"]),
        (&json!("report"), &json!("Station report"))
    );
    assert_eq!(hit["metadata"]["year"], 2026, "{hit}");
    let page = hit["metadata"]["page"].as_u64().context("it has a page")?;
    assert!(
        (1..=2).contains(&page),
        "it begins on the siren's page or runs into it: {hit}"
    );

    for (id, title, content, metadata) in [
        (
            "letter",
            "A letter",
            "The valve in Mill Lane still drips.",
            json!({}),
        ),
        (
            "page",
            "Accueil",
            "La station ouvre \u{e0} huit heures.",
            json!({ "lang": "fr", "language": "fr" }),
        ),
        (
            "note",
            "Filter",
            "Rinse it.",
            json!({ "author": "Nora Quill" }),
        ),
        // Its id is the name of a file.
        (
            "manuals/Valve list.txt",
            "Valve list",
            "They drip.",
            json!({}),
        ),
    ] {
        let document = app
            .get(&format!("/documents/{id}"), &[])
            .await?
            .success(200)?;
        assert_eq!(document["title"], title, "{document}");
        assert!(
            document["content"]
                .as_str()
                .is_some_and(|text| text.ends_with(content)),
            "{document}"
        );
        assert_eq!(document["metadata"], metadata, "{document}");
    }

    let again = app.post("/documents", body).await?.success(200)?;
    assert_eq!(again["documents"][0]["status"], "unchanged", "{again}");
    let renamed = json!({ "content_base64": report()?, "title": "Report of the station" });
    let put = app.put("/documents/report", renamed).await?.success(200)?;
    assert_eq!(put["status"], "updated", "{put}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_is_refused_with_its_reason_and_nothing_is_stored() -> Outcome {
    let app = App::start().await?;
    let scan = STANDARD.encode(pdf("Scan", &[Vec::new(), Vec::new()])?);
    let bomb = docx("Long", &"a".repeat(5_000_000))?;
    assert!(bomb.len() < 50_000, "it is much smaller than its content");
    let nested = format!("<!doctype html><p>{}", "<div>".repeat(300_000));
    let broken = STANDARD.encode(&STANDARD.decode(report()?)?[..200]);
    let refused = [
        (
            json!({ "content_base64": scan }),
            "content_base64",
            "no text, as scanned",
        ),
        (
            json!({ "content_base64": STANDARD.encode(bomb), "content_type": DOCX }),
            "content_base64",
            "word/document.xml",
        ),
        (
            json!({ "content": nested, "content_type": "text/html" }),
            "content",
            "cannot be read as HTML",
        ),
        (
            json!({ "content_base64": broken }),
            "content_base64",
            "cannot be read as PDF",
        ),
        (
            json!({ "content_base64": "%PDF" }),
            "content_base64",
            "not base64",
        ),
        (
            json!({ "content_base64": "aGVsbG8=" }),
            "content_type",
            "is missing",
        ),
        (
            json!({ "content_base64": "aGVsbG8=", "content_type": "image/png" }),
            "content_type",
            "image/png",
        ),
        (
            json!({ "content": "a", "content_base64": "aGVsbG8=" }),
            "content_base64",
            "beside content",
        ),
    ];
    let mut documents: Vec<Value> = refused
        .iter()
        .map(|(document, ..)| document.clone())
        .collect();
    documents.push(json!({ "id": "good", "content": "Nothing is wrong with this one." }));
    let answer = app
        .post("/documents", json!({ "documents": documents }))
        .await?;
    answer.refused()?;
    let found = errors(&answer.text)?;
    assert_eq!(found.len(), refused.len(), "{found:?}");
    for (index, ((_, field, words), (named, detail))) in refused.iter().zip(&found).enumerate() {
        assert_eq!(named, &format!("documents[{index}].{field}"), "{detail}");
        assert!(detail.contains(words), "{words}: {detail}");
    }
    let answer = app.put("/documents/scan", refused[0].0.clone()).await?;
    assert_eq!(answer.refused()?, ["content_base64"]);
    let stored = app.get("/documents", &[]).await?.success(200)?;
    assert_eq!(stored["total"], 0, "{stored}");
    Ok(())
}
