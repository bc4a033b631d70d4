//! HTTP as clients, browsers and monitors use it.

mod bodies;

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// Every route, with a language model and a queue that nobody gets as far as.
async fn serving() -> anyhow::Result<App> {
    let (app, ()) = App::through(async |_| {
        let variables = [
            ("LLM_BASE_URL", "http://127.0.0.1:9/v1"),
            ("LLM_MODEL", "nobody"),
            ("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("IMPORT_QUEUE_URL", "http://127.0.0.1:9/123456789012/queue"),
            ("IMPORT_BUCKET", "bucket"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Ok(((), variables.to_vec()))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    Ok(app)
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_escapes_are_refused() -> Outcome {
    let app = App::start().await?;
    for id in ["%E9tang", "%E8tang", "%ff", "%zz", "a%2"] {
        for method in [Method::PUT, Method::GET, Method::DELETE] {
            let path = format!("/documents/{id}");
            app.send(
                method,
                &path,
                "application/json",
                br#"{"content": "Un texte."}"#.to_vec(),
            )
            .await?
            .problem(400, "malformed-url")
            .context(path)?;
        }
    }
    for query in ["q=%ff%fe", "q=for%EAt", "q=%zz", "q=a&filter=%E9"] {
        app.get(&format!("/search?{query}"), &[])
            .await?
            .problem(400, "malformed-url")
            .context(query)?;
    }
    // API Gateway decodes the path itself, and leaves replacement characters of what is no text.
    for (function, event) in [
        ("documents", include_str!("../events/documents-get.json")),
        ("search", include_str!("../events/search-get.json")),
    ] {
        let mut event: Value = serde_json::from_str(event)?;
        if function == "documents" {
            event["pathParameters"]["id"] = json!("\u{fffd}tang");
        } else {
            event["rawQueryString"] = json!("q=for%EAt");
        }
        let response = app.invoke(function, event).await?;
        assert_eq!(response["statusCode"], 400, "{response}");
    }
    let page = app.get("/documents", &[]).await?.success(200)?;
    assert_eq!(page["documents"], json!([]), "nothing was stored");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_may_be_a_path() -> Outcome {
    let app = App::start().await?;
    let id = "notes/2026/été & hiver.md";
    let encoded = "/documents/notes%2F2026%2F%C3%A9t%C3%A9%20%26%20hiver.md";
    let written = "/documents/notes/2026/%C3%A9t%C3%A9%20&%20hiver.md";
    let stored = app
        .put(written, json!({ "content": "Le programme de l’été." }))
        .await?;
    assert_eq!(stored.success(201)?["id"], id);
    let again = app
        .put(encoded, json!({ "content": "Le programme de l’été." }))
        .await?;
    assert_eq!(again.success(200)?["status"], "unchanged");
    for path in [encoded, written] {
        assert_eq!(app.get(path, &[]).await?.success(200)?["id"], id, "{path}");
    }
    app.delete(encoded).await?.success(204)?;
    app.get(written, &[]).await?.problem(404, "not-found")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trailing_slash_finds_its_route() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    app.get("/documents/", &[]).await?.success(200)?;
    app.get("/health/", &[]).await?.success(200)?;
    app.get("/search/?q=cr%C3%AApes", &[]).await?.success(200)?;
    app.post("/search/", json!({ "query": "crêpes" }))
        .await?
        .success(200)?;
    let documents = json!({ "documents": [{ "id": "a", "content": "Un texte." }] });
    app.post("/documents/", documents).await?.success(200)?;
    // What API Gateway makes of `/documents/` on its greedy route.
    let mut event: Value = serde_json::from_str(include_str!("../events/documents-get.json"))?;
    event["pathParameters"]["id"] = json!("");
    event["rawPath"] = json!("/documents/");
    let response = app.invoke("documents", event.clone()).await?;
    assert_eq!(response["statusCode"], 200, "{response}");
    // Whoever deletes means a certain one.
    for (function, route, parameter) in [
        ("documents", "DELETE /documents/{id+}", "id"),
        ("sources", "DELETE /sources/{name}", "name"),
        ("sources", "POST /sources/{name}/resync", "name"),
        ("keys", "DELETE /keys/{id}", "id"),
        ("keys", "DELETE /tenants/{id}", "id"),
    ] {
        let method = route.split(' ').next().unwrap_or_default();
        event["requestContext"]["http"]["method"] = json!(method);
        event["requestContext"]["routeKey"] = json!(route);
        event["pathParameters"] = json!({ parameter: "" });
        let response = app.invoke(function, event.clone()).await?;
        assert_eq!(response["statusCode"], 422, "{route}: {response}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_is_refused_wherever_it_may_stand_in_a_url() -> Outcome {
    let app = serving().await?;
    let mut event: Value = serde_json::from_str(include_str!("../events/documents-get.json"))?;
    for (function, route, parameter) in [
        ("documents", "GET /documents/{id+}", "id"),
        ("imports", "GET /imports/{id}", "id"),
        ("sources", "GET /sources/{name}", "name"),
        ("keys", "DELETE /keys/{id}", "id"),
    ] {
        let method = route.split(' ').next().unwrap_or_default();
        event["requestContext"]["http"]["method"] = json!(method);
        event["requestContext"]["routeKey"] = json!(route);
        event["pathParameters"] = json!({ parameter: "a\0" });
        let response = app.invoke(function, event.clone()).await?;
        assert_eq!(response["statusCode"], 422, "{route}: {response}");
    }
    let usage = app.get("/usage", &[("cursor", "2026-01-01/a\0/b")]).await?;
    assert_eq!(usage.refused()?, ["cursor"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn head_is_get_without_its_body() -> Outcome {
    let app = serving().await?;
    app.ingest_samples(&["recette-crepes"]).await?;
    for (path, status) in [
        ("/health", 200),
        ("/documents?limit=1", 200),
        ("/documents/recette-crepes", 200),
        ("/documents/nobody", 404),
        ("/search?q=cr%C3%AApes", 200),
        ("/search?q=", 422),
        ("/imports/nobody", 404),
        ("/nowhere", 404),
        ("/chat", 405),
    ] {
        let answer = app.request(Method::HEAD, path, &[], Vec::new()).await?;
        assert_eq!(
            (answer.status, answer.text.as_str()),
            (status, ""),
            "{path}"
        );
        assert!(
            answer.header("x-request-id").is_some(),
            "{path}: {:?}",
            answer.headers
        );
        let get = app.get(path, &[]).await?;
        assert_eq!(
            answer.header("content-type"),
            get.header("content-type"),
            "{path}"
        );
    }
    // As API Gateway sends it: nothing strips the body for the function.
    let mut event: Value = serde_json::from_str(include_str!("../events/health-get.json"))?;
    event["requestContext"]["http"]["method"] = json!("HEAD");
    let response = app.invoke("health", event).await?;
    assert_eq!(response["statusCode"], 200, "{response}");
    assert!(
        matches!(&response["body"], Value::Null) || response["body"] == "",
        "{response}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_an_unknown_origin_gets_nothing_and_stores_nothing() -> Outcome {
    let app = App::start().await?;
    let documents = json!({ "documents": [{ "id": "a", "content": "Un texte." }] }).to_string();
    for headers in [
        [
            ("content-type", "application/json"),
            ("origin", "https://evil.example"),
        ],
        [
            ("content-type", "text/plain"),
            ("origin", "https://evil.example"),
        ],
        [
            ("content-type", "application/json"),
            ("host", "evil.example"),
        ],
    ] {
        let sent = app.request(
            Method::POST,
            "/documents",
            &headers,
            documents.clone().into(),
        );
        assert_eq!(sent.await?.status, 403, "{headers:?}");
        let read = app.request(Method::GET, "/documents", &headers[1..], Vec::new());
        assert_eq!(read.await?.status, 403, "{headers:?}");
    }
    let page = app.get("/documents", &[]).await?.success(200)?;
    assert_eq!(page["documents"], json!([]));
    Ok(())
}
