//! HTTP as clients, browsers and monitors use it.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::App;

use crate::Outcome;

/// The routes that take a body, with one that is right but for its values.
const BODIES: [(&str, &str); 5] = [
    ("POST", "/search"),
    ("POST", "/documents"),
    ("PUT", "/documents/a"),
    ("POST", "/imports"),
    ("POST", "/chat"),
];

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
async fn a_body_needs_the_content_type_json() -> Outcome {
    let app = serving().await?;
    for (method, path) in BODIES {
        let method: Method = method.parse()?;
        let send = async |headers: &[(&str, &str)]| {
            let body = br#"{"query": "a"}"#.to_vec();
            app.request(method.clone(), path, headers, body).await
        };
        // What a page of another origin may send without being asked.
        for headers in [
            &[][..],
            &[("content-type", "text/plain;charset=UTF-8")],
            &[("content-type", "application/x-www-form-urlencoded")],
            &[("content-type", "multipart/form-data; boundary=x")],
        ] {
            send(headers)
                .await?
                .problem(415, "unsupported-media-type")
                .context(path)?;
        }
        let compressed = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        let answer = send(&compressed).await?;
        answer.problem(415, "unsupported-encoding").context(path)?;
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    let page = app.get("/documents", &[]).await?.success(200)?;
    assert_eq!(page["documents"], json!([]), "nothing was stored");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_refused_and_no_message_names_rust_types() -> Outcome {
    let app = serving().await?;
    let by_position = json!(["a", 3, null, null, "hybrid", 0.5, 0, false, false]);
    for (method, path) in BODIES {
        for body in [
            &by_position,
            &json!([]),
            &json!("a"),
            &json!(7),
            &json!(null),
            &json!([{ "id": "a" }]),
        ] {
            let answer = app
                .send(
                    method.parse()?,
                    path,
                    "application/json",
                    body.to_string().into(),
                )
                .await?;
            let fields = answer.refused().context(format!("{path} {body}"))?;
            assert_eq!(fields, ["body"], "{path} {body}");
            speaks_json(&answer.text)?;
        }
    }
    for (path, body, field) in [
        ("/search", json!({ "query": ["a"] }), "query"),
        ("/search", json!({ "query": "a", "limit": "ten" }), "limit"),
        ("/search", json!({ "query": "a", "limit": 2.5 }), "limit"),
        ("/search", json!({ "query": "a", "limit": [1] }), "limit"),
        (
            "/search",
            json!({ "query": "a", "max_distance": "x" }),
            "max_distance",
        ),
        ("/search", json!({ "query": "a", "explain": 1 }), "explain"),
        ("/search", json!({ "query": "a", "qeury": 1 }), "qeury"),
        ("/search", json!({}), "query"),
        (
            "/chat",
            json!({ "messages": [["user", "a"]] }),
            "messages[0]",
        ),
        (
            "/chat",
            json!({ "messages": [{ "role": 7, "content": "a" }] }),
            "messages[0].role",
        ),
        (
            "/chat",
            json!({ "messages": [{ "role": "narrator", "content": "a" }] }),
            "messages[0].role",
        ),
        (
            "/chat",
            json!({ "messages": { "role": "user" } }),
            "messages",
        ),
        (
            "/imports",
            json!({ "source": ["s3://bucket/key"] }),
            "source",
        ),
        (
            "/imports",
            json!({ "sources": "s3://bucket/key" }),
            "sources",
        ),
    ] {
        let answer = app.post(path, body.clone()).await?;
        assert_eq!(
            answer.refused().context(body.to_string())?,
            [field],
            "{body}"
        );
        speaks_json(&answer.text)?;
    }
    let twice = br#"{"query": "un", "limit": 1, "query": "deux"}"#.to_vec();
    let answer = app
        .send(Method::POST, "/search", "application/json", twice)
        .await?;
    assert_eq!(answer.refused()?, ["query"]);
    // The list alone is the commonest mistake.
    let bare = app
        .post("/documents", json!([{ "id": "a", "content": "b" }]))
        .await?;
    bare.refused()?;
    assert!(bare.text.contains("documents"), "{}", bare.text);
    Ok(())
}

/// Whether a refusal has no word of Rust or serde in it.
fn speaks_json(text: &str) -> Outcome {
    for word in [
        "struct ", "enum", "variant", "i64", "u64", "i32", "f64", "sequence", "Option", "map,",
        "tuple",
    ] {
        anyhow::ensure!(!text.contains(word), "{word}: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn harmless_additions_to_a_body_are_accepted() -> Outcome {
    let app = App::start().await?;
    app.ingest_samples(&["recette-crepes", "sante-migraine"])
        .await?;
    for body in [
        "\u{feff}{\"query\": \"des crêpes\"}",
        r#"{"query": "des crêpes", "limit": 1.0, "expand": 0.0}"#,
        r#"{"query": "des crêpes", "limit": 1e0}"#,
        r#"{"query": "des crêpes", "limit": null, "filter": null, "mode": null}"#,
    ] {
        for content_type in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
        ] {
            let answer = app
                .send(Method::POST, "/search", content_type, body.into())
                .await?;
            let hits = answer.success(200).context(body)?;
            assert_eq!(hits["hits"][0]["document_id"], "recette-crepes");
        }
    }
    // An empty parameter is an absent one.
    for query in [
        "q=cr%C3%AApes&limit=&filter=&mode=&expand=&explain=",
        "q=cr%C3%AApes&limit=2.0",
    ] {
        app.get(&format!("/search?{query}"), &[])
            .await?
            .success(200)
            .context(query)?;
    }
    for query in ["cursor=&limit=&filter=", "limit=1.0&cursor="] {
        app.get(&format!("/documents?{query}"), &[])
            .await?
            .success(200)
            .context(query)?;
    }
    assert_eq!(app.get("/search?q=", &[]).await?.refused()?, ["q"]);
    assert_eq!(
        app.get("/documents?limit=1.5", &[]).await?.refused()?,
        ["limit"]
    );
    app.get("/health?deep=", &[]).await?.success(200)?;
    Ok(())
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
