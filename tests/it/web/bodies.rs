//! Bodies of requests: their content type, their JSON, and what refusals say of it.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tests::App;

use super::serving;
use crate::Outcome;

/// The routes that take a body, with one that is right but for its values.
const BODIES: [(&str, &str); 5] = [
    ("POST", "/search"),
    ("POST", "/documents"),
    ("PUT", "/documents/a"),
    ("POST", "/imports"),
    ("POST", "/chat"),
];

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
