//! Changes of stored documents: partial, conditional, and by filter.

mod by_filter;

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, App, Sql};

use crate::Outcome;

pub(crate) async fn send(
    app: &App,
    method: Method,
    path: &str,
    if_match: Option<&str>,
    body: Value,
) -> anyhow::Result<Answer> {
    let mut headers = vec![("content-type", "application/merge-patch+json")];
    headers.extend(if_match.map(|etag| ("if-match", etag)));
    app.request(method, path, &headers, body.to_string().into_bytes())
        .await
}

fn etag(answer: &Answer) -> String {
    answer.header("etag").unwrap_or_default().to_owned()
}

async fn embeddings(sql: &Sql) -> anyhow::Result<Vec<String>> {
    // A passage that is stored again has another place in the table.
    sql.texts(
        "SELECT ctid::text FROM rappel.chunks ORDER BY document_id, ordinal",
        &[],
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_title_are_patched_and_only_a_title_is_embedded() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    app.put(
        "/documents/pool",
        json!({
            "title": "Pool",
            "content": "The pool opens at nine.",
            "metadata": { "lanes": 6, "place": { "street": "Mill Lane", "no": 3 }, "n": 18_446_744_073_709_551_615_u64 },
        }),
    )
    .await?
    .success(201)?;
    let before = embeddings(&sql).await?;

    let patch = json!({ "metadata": { "lanes": null, "place": { "no": 5 }, "heated": true } });
    let patched = send(&app, Method::PATCH, "/documents/pool", None, patch).await?;
    assert_eq!(
        patched.success(200)?,
        json!({ "id": "pool", "status": "updated", "chunks": 1 })
    );
    assert_eq!(embeddings(&sql).await?, before, "nothing was embedded");
    let stored = app.get("/documents/pool", &[]).await?;
    let document = stored.success(200)?;
    assert_eq!(document["title"], "Pool");
    assert_eq!(document["content"], "The pool opens at nine.");
    assert_eq!(
        document["metadata"],
        json!({ "heated": true, "n": 18_446_744_073_709_551_615_u64, "place": { "street": "Mill Lane", "no": 5 } })
    );
    assert_eq!(
        etag(&stored),
        etag(&patched),
        "the patch told the new state"
    );

    let again = json!({ "metadata": { "heated": true } });
    let again = send(&app, Method::PATCH, "/documents/pool", None, again)
        .await?
        .success(200)?;
    assert_eq!(again["status"], "unchanged");

    let title = json!({ "title": "Thermal baths", "metadata": null });
    send(&app, Method::PATCH, "/documents/pool", None, title)
        .await?
        .success(200)?;
    assert_ne!(
        embeddings(&sql).await?,
        before,
        "the title is a part of every passage"
    );
    let document = app.get("/documents/pool", &[]).await?.success(200)?;
    assert_eq!(document["metadata"], json!({}));
    let hits = app
        .hits(json!({ "query": "thermal", "mode": "keyword" }))
        .await?;
    assert_eq!(hits[0]["title"], "Thermal baths");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_patch_is_refused_and_changes_nothing() -> Outcome {
    let app = App::start().await?;
    app.put("/documents/a", json!({ "content": "Some text." }))
        .await?
        .success(201)?;
    for (body, field) in [
        (json!({ "content": "Other text." }), "content"),
        (json!({ "metadata": [1] }), "metadata"),
        (json!({ "title": 7 }), "title"),
        (json!({ "titel": "A" }), "titel"),
        (json!({}), "body"),
        (json!({ "title": "a".repeat(1_001) }), "title"),
        (
            json!({ "metadata": { "a": "x".repeat(16 * 1024) } }),
            "metadata",
        ),
    ] {
        let answer = send(&app, Method::PATCH, "/documents/a", None, body).await?;
        assert_eq!(answer.refused()?, [field]);
        if field == "content" {
            assert!(answer.text.contains("PUT"), "{}", answer.text);
        }
    }
    let body = json!({ "metadata": { "a": 1 } });
    let nobody = send(&app, Method::PATCH, "/documents/nobody", None, body).await?;
    nobody.problem(404, "not-found")?;
    let document = app.get("/documents/a", &[]).await?.success(200)?;
    assert_eq!(
        (&document["title"], &document["metadata"]),
        (&json!(""), &json!({}))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_changed_by_another_client_is_not_overwritten() -> Outcome {
    let app = App::start().await?;
    let text = |text: &str| json!({ "content": text });
    let created = app.put("/documents/a", text("First.")).await?;
    created.success(201)?;
    let first = etag(&created);
    assert_eq!(etag(&app.get("/documents/a", &[]).await?), first);
    let unchanged = app.put("/documents/a", text("First.")).await?;
    assert_eq!(
        (unchanged.success(200)?["status"].clone(), etag(&unchanged)),
        (json!("unchanged"), first.clone())
    );

    let replaced = send(
        &app,
        Method::PUT,
        "/documents/a",
        Some(&first),
        text("Second."),
    )
    .await?;
    replaced.success(200)?;
    let second = etag(&replaced);
    assert_ne!(second, first);

    let patch = json!({ "metadata": { "seen": true } });
    for (method, body) in [
        (Method::PUT, text("Third.")),
        (Method::PATCH, patch.clone()),
        (Method::DELETE, json!({})),
    ] {
        let answer = send(&app, method, "/documents/a", Some(&first), body).await?;
        answer.problem(412, "precondition-failed")?;
    }
    let absent = send(&app, Method::PUT, "/documents/b", Some("*"), text("New.")).await?;
    absent.problem(412, "precondition-failed")?;
    app.get("/documents/b", &[])
        .await?
        .problem(404, "not-found")?;
    let document = app.get("/documents/a", &[]).await?.success(200)?;
    assert_eq!(
        (&document["content"], &document["metadata"]),
        (&json!("Second."), &json!({}))
    );

    let several = format!("\"00\", {second}");
    let patched = send(&app, Method::PATCH, "/documents/a", Some(&several), patch).await?;
    patched.success(200)?;
    let third = etag(&patched);
    let deleted = send(
        &app,
        Method::DELETE,
        "/documents/a",
        Some(&third),
        json!({}),
    )
    .await?;
    assert_eq!(deleted.status, 204, "{}", deleted.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_created_once_and_sent_again_only_if_it_has_changed() -> Outcome {
    let app = App::start_with(4).await?;
    let headers = [("content-type", "application/json"), ("if-none-match", "*")];
    let create = |text: &str| {
        let body = json!({ "content": text }).to_string().into_bytes();
        app.request(Method::PUT, "/documents/a", &headers, body)
    };
    let (a, b, c, d) = tokio::try_join!(create("A."), create("B."), create("C."), create("D."))?;
    let mut tag = String::new();
    for answer in [a, b, c, d] {
        if answer.status == 201 {
            assert_eq!(tag, "", "it was created twice");
            tag = etag(&answer);
        } else {
            answer.problem(412, "precondition-failed")?;
        }
    }

    let read = async |tag: &str| {
        let headers = [("if-none-match", tag)];
        app.request(Method::GET, "/documents/a", &headers, Vec::new())
            .await
    };
    for known in [
        tag.as_str(),
        &format!("W/{tag}"),
        &format!("\"00\", {tag}"),
        "*",
    ] {
        let answer = read(known).await?;
        assert_eq!(
            (answer.status, answer.text.as_str(), etag(&answer)),
            (304, "", tag.clone()),
            "{known}"
        );
    }
    app.put("/documents/a", json!({ "content": "Another." }))
        .await?
        .success(200)?;
    assert_eq!(read(&tag).await?.success(200)?["content"], "Another.");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_patches_are_all_kept() -> Outcome {
    let app = App::start_with(4).await?;
    app.put("/documents/a", json!({ "content": "Some text." }))
        .await?
        .success(201)?;
    let patch = |key: &'static str| {
        send(
            &app,
            Method::PATCH,
            "/documents/a",
            None,
            json!({ "metadata": { key: 1 } }),
        )
    };
    let (a, b, c, d) = tokio::try_join!(patch("a"), patch("b"), patch("c"), patch("d"))?;
    let mut kept = 0;
    for answer in [a, b, c, d] {
        // One that others overtake again and again is refused, which is not silence.
        if answer.status == 200 {
            kept += 1;
        } else {
            answer.problem(412, "precondition-failed")?;
        }
    }
    let document = app.get("/documents/a", &[]).await?.success(200)?;
    assert_eq!(
        document["metadata"].as_object().map(serde_json::Map::len),
        Some(kept)
    );
    assert!(kept > 0);
    Ok(())
}
