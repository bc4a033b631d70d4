//! Searches that are refused, and searches exactly at a limit.

use reqwest::Method;
use serde_json::json;
use tests::App;

use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_admits_its_last_value_and_refuses_the_next() -> Outcome {
    let app = App::start().await?;
    let longest = "é".repeat(2_000);
    let admitted = [
        json!({ "query": "a" }),
        json!({ "query": longest }),
        json!({ "query": "a", "limit": 1 }),
        json!({ "query": "a", "limit": 100 }),
        json!({ "query": "a", "max_distance": 0 }),
        json!({ "query": "a", "max_distance": 2.0 }),
        json!({ "query": "a", "filter": {} }),
        json!({ "query": "a", "limit": 10.0, "passages": 10.0, "expand": 2.0, "offset": 1.0 }),
        json!({ "query": "a", "offset": 1_000, "count": "exact" }),
        json!({ "query": "a", "mode": "semantic", "prefix": false }),
        json!({ "query": "a", "facets": vec!["a"; 10], "fields": [], "metadata_fields": vec!["a"; 50] }),
    ];
    for request in admitted {
        app.post("/search", request.clone())
            .await?
            .success(200)
            .map_err(|error| error.context(request))?;
    }

    let refused = [
        (json!({ "query": "" }), "query"),
        (json!({ "query": " \n\t\u{a0}" }), "query"),
        (json!({ "query": format!("{longest}é") }), "query"),
        (json!({ "query": "a", "limit": 0 }), "limit"),
        (json!({ "query": "a", "limit": 101 }), "limit"),
        (json!({ "query": "a", "limit": -1 }), "limit"),
        (json!({ "query": "a", "limit": 1.5 }), "limit"),
        (json!({ "query": "a", "passages": 0 }), "passages"),
        (json!({ "query": "a", "passages": 11.0 }), "passages"),
        (
            json!({ "query": "a", "max_distance": -0.001 }),
            "max_distance",
        ),
        (
            json!({ "query": "a", "max_distance": 2.001 }),
            "max_distance",
        ),
    ];
    for (request, field) in refused {
        let fields = app
            .post("/search", request.clone())
            .await?
            .refused()
            .map_err(|error| error.context(request))?;
        assert_eq!(fields, [field]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_type_an_unknown_field_and_a_missing_one_are_named() -> Outcome {
    let app = App::start().await?;
    let refused = [
        (json!({}), "query"),
        (json!({ "query": 7 }), "query"),
        (json!({ "query": null }), "query"),
        (json!({ "query": "a", "limit": "ten" }), "limit"),
        (json!({ "query": "a", "limit": 2.5 }), "limit"),
        (
            json!({ "query": "a", "max_distance": "near" }),
            "max_distance",
        ),
        (json!({ "query": "a", "filter": ["fr"] }), "filter"),
        (json!({ "query": "a", "filter": "fr" }), "filter"),
        (json!({ "query": "a", "limitt": 3 }), "limitt"),
        (json!({ "query": "a", "mode": "Hybrid" }), "mode"),
        (json!({ "query": "a", "mode": "telepathic" }), "mode"),
        (
            json!({ "query": "a", "semantic_weight": 1.01 }),
            "semantic_weight",
        ),
        (json!({ "query": "a", "expand": 11 }), "expand"),
        (json!({ "query": "a", "expand": -1 }), "expand"),
        (json!({ "query": "a", "prefix": 1 }), "prefix"),
        (
            json!({ "query": "a", "mode": "semantic", "prefix": true }),
            "prefix",
        ),
        (json!({ "query": "a", "explain": "yes" }), "explain"),
        (json!({ "query": "a", "offset": -1 }), "offset"),
        (json!({ "query": "a", "offset": 1_001 }), "offset"),
        (
            json!({ "query": "a", "offset": 41, "limit": 10, "rerank": true }),
            "offset",
        ),
        (json!({ "query": "a", "count": "roughly" }), "count"),
        (json!({ "query": "a", "facets": vec!["a"; 11] }), "facets"),
        (
            json!({ "query": "a", "facets": ["a", "b..c"] }),
            "facets[1]",
        ),
        (json!({ "query": "a", "fields": ["titel"] }), "fields"),
        (
            json!({ "query": "a", "metadata_fields": vec!["a"; 51] }),
            "metadata_fields",
        ),
        (json!({ "query": "a", "rerank": "yes" }), "rerank"),
        (
            json!({ "query": "a", "filter": { "clé": "\u{0}" } }),
            "filter.clé",
        ),
    ];
    for (request, field) in refused {
        let fields = app
            .post("/search", request.clone())
            .await?
            .refused()
            .map_err(|error| error.context(request))?;
        assert_eq!(fields, [field]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_query_string_is_judged_like_the_body() -> Outcome {
    let app = App::start().await?;
    let refused: [(&[(&str, &str)], &str); 8] = [
        (&[], "q"),
        (&[("q", "")], "q"),
        (&[("q", "a"), ("limit", "0")], "limit"),
        (&[("q", "a"), ("limit", "many")], "limit"),
        (&[("q", "a"), ("max_distance", "3")], "max_distance"),
        (&[("q", "a"), ("filter", "fr")], "filter"),
        (&[("q", "a"), ("filter", "[1]")], "filter"),
        (&[("q", "a"), ("query", "a")], "query"),
    ];
    for (query, field) in refused {
        let fields = app
            .get("/search", query)
            .await?
            .refused()
            .map_err(|error| error.context(format!("{query:?}")))?;
        assert_eq!(fields, [field], "{query:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_and_invalid_fields_are_different_problems() -> Outcome {
    let app = App::start().await?;
    let send = |content_type: &'static str, body: &'static [u8]| {
        app.send(Method::POST, "/search", content_type, body.to_vec())
    };

    send("application/json", br#"{"query": "a""#)
        .await?
        .problem(400, "malformed-json")?;
    send("application/json", b"")
        .await?
        .problem(400, "malformed-json")?;
    send("application/json", b"\xff\xfe{}")
        .await?
        .problem(400, "malformed-json")?;
    send("text/plain", br#"{"query": "a"}"#)
        .await?
        .problem(415, "unsupported-media-type")?;
    send("application/x-www-form-urlencoded", b"query=a")
        .await?
        .problem(415, "unsupported-media-type")?;
    send("application/json", b"[]").await?.refused()?;
    send("application/json; charset=utf-8", br#"{"query": "a"}"#)
        .await?
        .success(200)?;
    Ok(())
}
