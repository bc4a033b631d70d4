//! Documents as input: what is accepted, what is refused, and what is stored.

use anyhow::{Context as _, Result};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, App, document_path};

use crate::Outcome;

/// Sends a body that `serde_json` would not write.
async fn send(app: &App, method: Method, path: &str, body: &str) -> Result<Answer> {
    app.send(method, path, "application/json", body.as_bytes().to_vec())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exports_write_is_accepted() -> Outcome {
    let app = App::start().await?;
    let body = r#"{"documents": [
        {"id": 90125, "title": null, "content": "Le bac part à sept heures.", "metadata": null},
        {"_id": "bac-2", "id": "bac-2", "text": "Le second bac part à midi."},
        {"id": 36893488147419103232, "content": "Le dernier bac part à minuit."}
    ]}"#;
    let lines = send(&app, Method::POST, "/documents", body)
        .await?
        .success(200)?;
    let ids: Vec<&Value> = ["90125", "bac-2", "36893488147419103232"]
        .iter()
        .zip(lines["documents"].as_array().context("lines")?)
        .map(|(id, line)| {
            assert_eq!(line["id"], *id);
            &line["status"]
        })
        .collect();
    assert_eq!(ids, ["created", "created", "created"]);
    let stored = app.get("/documents/90125", &[]).await?.success(200)?;
    assert_eq!(
        (&stored["title"], &stored["metadata"]),
        (&json!(""), &json!({}))
    );
    let again = json!({ "id": 90125, "content": "Le bac part à sept heures." });
    let same = app.put("/documents/90125", again).await?.success(200)?;
    assert_eq!(same["status"], "unchanged", "a number is its digits");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_document_is_refused_without_rust_type_names() -> Outcome {
    let app = App::start().await?;
    for (method, path, body, field) in [
        (
            Method::POST,
            "/documents",
            r#"[{"id": "a", "content": "Une liste nue."}]"#,
            "body",
        ),
        (
            Method::POST,
            "/documents",
            r#"{"documents": [["a", "b", "c", {}]]}"#,
            "documents[0]",
        ),
        (
            Method::POST,
            "/documents",
            r#"{"documents": [{"id": true, "content": "a"}]}"#,
            "documents[0].id",
        ),
        (
            Method::POST,
            "/documents",
            r#"{"documents": [{"id": 1.5, "content": "a"}]}"#,
            "documents[0].id",
        ),
        (
            Method::POST,
            "/documents",
            r#"{"documents": [{"id": "a", "_id": "b", "content": "a"}]}"#,
            "documents[0]",
        ),
        (
            Method::POST,
            "/documents",
            r#"{"documents": [{"content": null}]}"#,
            "documents[0].content",
        ),
        (
            Method::PUT,
            "/documents/a",
            r#"["a", "Titre", "Texte", {}]"#,
            "body",
        ),
        (
            Method::PUT,
            "/documents/a",
            r#"{"content": "Un.", "content": "Deux."}"#,
            "body",
        ),
        (
            Method::PUT,
            "/documents/a",
            r#"{"content": "Un.", "metadata": {"k": [{"b": 1, "b": 2}]}}"#,
            "metadata",
        ),
        (
            Method::PUT,
            "/documents/a",
            r#"{"content": "Un.", "metadata": {"n": 1e4000}}"#,
            "metadata",
        ),
        (
            Method::PUT,
            "/documents/a",
            r#"{"content": ["Un."]}"#,
            "content",
        ),
    ] {
        let answer = send(&app, method, path, body).await?;
        assert_eq!(
            answer.refused().context(body)?,
            [field],
            "{body}: {}",
            answer.text
        );
        for word in ["struct", "DocumentInput", "sequence", "i64"] {
            assert!(!answer.text.contains(word), "{}", answer.text);
        }
    }
    let bare = r#"[{"id": "a", "content": "Une liste nue."}]"#;
    let answer = send(&app, Method::POST, "/documents", bare).await?;
    assert!(
        answer.text.contains("the field documents"),
        "{}",
        answer.text
    );
    let stored = "SELECT count(*) FROM rappel.documents";
    assert_eq!(app.sql().await?.number(stored, &[]).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invisible_text_is_blank() -> Outcome {
    let app = App::start().await?;
    for content in [
        "",
        " \n",
        "…",
        "?!",
        "\u{200b}\u{2060}",
        "\u{feff}",
        "| :- | -: |",
        "\u{2}\u{3}",
        "\u{3164}",
        "🙂",
    ] {
        let answer = app
            .put("/documents/rien", json!({ "content": content }))
            .await?;
        assert_eq!(answer.refused()?, ["content"], "{content:?}");
        assert!(
            answer.text.contains("has no letters or digits"),
            "{}",
            answer.text
        );
    }
    app.put("/documents/un", json!({ "content": "№ 1" }))
        .await?
        .success(201)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_a_path_would_lose_is_refused_with_the_reason() -> Outcome {
    let app = App::start().await?;
    for id in [
        "page?n=2",
        "note#3",
        "a%2Fb",
        ".",
        "..",
        "docs/../secret",
        "docs/",
    ] {
        let body = json!({ "documents": [{ "id": id, "content": "Un texte." }] });
        let answer = app.post("/documents", body).await?;
        assert_eq!(answer.refused()?, ["documents[0].id"], "{id}");
        assert!(answer.text.contains("API Gateway"), "{}", answer.text);
    }
    app.ingest(vec![
        json!({ "id": "docs/2026/mai.md", "content": "Un texte." }),
    ])
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_spellings_of_unicode_are_one() -> Outcome {
    let app = App::start().await?;
    let (composed, apart) = ("for\u{ea}t", "fore\u{302}t");
    let document =
        |text: &str| json!({ "content": "La forêt est fermée.", "metadata": { text: text } });
    let created = app
        .put(&document_path(composed), document(composed))
        .await?;
    created.success(201)?;
    let same = app.put(&document_path(apart), document(apart)).await?;
    assert_eq!(same.success(200)?["status"], "unchanged");
    let read = app.get(&document_path(apart), &[]).await?.success(200)?;
    assert_eq!(read["id"], composed);
    for text in [composed, apart] {
        let filter = json!({ text: text });
        let hits = app
            .hits(json!({ "query": "forêt", "filter": filter }))
            .await?;
        assert_eq!(hits.len(), 1, "{text:?}");
        let filter = filter.to_string();
        let page = app
            .get("/documents", &[("filter", &filter)])
            .await?
            .success(200)?;
        assert_eq!(
            page["documents"].as_array().map(Vec::len),
            Some(1),
            "{text:?}"
        );
    }
    app.delete(&document_path(apart)).await?.success(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_come_back_with_the_digits_they_had() -> Outcome {
    let app = App::start().await?;
    for number in [
        "18446744073709551617",
        "-271828182845904523536028747135266249775",
        "3.14159265358979323846264338327950288",
        "0.10",
    ] {
        let body = format!(r#"{{"content": "Un relevé.", "metadata": {{"n": [{number}]}}}}"#);
        let put = send(&app, Method::PUT, "/documents/releve", &body).await?;
        assert!(put.status < 300, "{}", put.text);
        let read = app.get("/documents/releve", &[]).await?;
        assert!(
            read.text.contains(&format!("[{number}]")),
            "{number}: {}",
            read.text
        );
        let same = send(&app, Method::PUT, "/documents/releve", &body).await?;
        assert_eq!(same.success(200)?["status"], "unchanged", "{number}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_is_bounded_whatever_it_is_made_of() -> Outcome {
    let app = App::start().await?;
    let blanks = format!("Le départ.{}L’arrivée.", " ".repeat(1_000_000));
    let endless = format!("Un mot : {}.", "a".repeat(20_000));
    for (id, content) in [("blancs", &blanks), ("mot", &endless)] {
        app.put(&document_path(id), json!({ "content": content }))
            .await?
            .success(201)?;
        let read = app.get(&document_path(id), &[]).await?.success(200)?;
        assert_eq!(read["content"], **content, "{id} is stored as it is");
    }
    let longest = "SELECT max(char_length(content))::bigint FROM rappel.chunks";
    let longest = app.sql().await?.number(longest, &[]).await?;
    assert!(longest <= 4_000, "{longest}");
    for expand in [0, 1] {
        let hits = app
            .hits(json!({ "query": "départ et arrivée", "expand": expand }))
            .await?;
        assert_eq!(hits.len(), 2);
        let hit = hits.iter().find(|hit| hit["document_id"] == "blancs");
        let content = hit
            .and_then(|hit| hit["content"].as_str())
            .context("it is found")?;
        assert!(content.len() < 100, "{} bytes", content.len());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_too_large_for_a_response_is_refused() -> Outcome {
    let app = App::start().await?;
    let content = format!("a{}", "\"".repeat(2_000_000));
    let answer = app
        .put("/documents/lourd", json!({ "content": content }))
        .await?;
    assert_eq!(answer.refused()?, ["content"]);
    assert!(
        answer.text.contains("6275072"),
        "it names the limit: {}",
        answer.text
    );
    Ok(())
}
