//! Pages of hits and of documents, totals, facets, and selected fields.

use anyhow::Context as _;
use serde_json::{Value, json};
use tests::{App, samples};

use crate::Outcome;

fn ids<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    let list = list.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|item| item[key].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_search_hold_every_hit_once() -> Outcome {
    let app = App::start().await?;
    app.ingest(samples()?).await?;
    for mode in ["semantic", "keyword", "hybrid"] {
        let request = |limit: usize, offset: usize| json!({ "query": "bibliothèque et santé", "mode": mode, "limit": limit, "offset": offset, "filter": { "language": "fr" } });
        let whole = app.post("/search", request(100, 0)).await?.success(200)?;
        let mut all = ids(&whole["hits"], "document_id");
        let mut paged = Vec::new();
        for offset in (0..all.len() + 7).step_by(7) {
            let page = app.hits(request(7, offset)).await?;
            let (most, left) = (7, all.len().saturating_sub(offset));
            assert_eq!(page.len(), most.min(left), "{mode}, from {offset} on");
            paged.extend(
                page.iter()
                    .filter_map(|hit| hit["document_id"].as_str().map(str::to_owned)),
            );
        }
        paged.sort_unstable();
        all.sort_unstable();
        assert_eq!(paged, all, "{mode}");
        assert!(!all.is_empty(), "{mode}");
    }
    Ok(())
}

/// Many documents past the product, each large enough that the table is not counted in a moment.
const CROWD: &str = "
    INSERT INTO rappel.documents (id, title, content, metadata, content_hash)
    SELECT 'crowd-' || n, '', repeat('text ', 100), jsonb_build_object('third', n % 3), ''
    FROM generate_series(1, 6000) AS n;
    INSERT INTO rappel.chunk_terms (document_id, ordinal, length, terms, frequencies)
    SELECT 'crowd-' || n, 0, 0, '{}', '{}' FROM generate_series(1, 6000) AS n;
    ANALYZE rappel.documents";

/// A passage of each of the first ones, with a random embedding.
const PASSAGES: &str = "
    INSERT INTO rappel.chunks (document_id, ordinal, start, content, embedding)
    SELECT 'crowd-' || n, 0, 0, 'text ' || n, (
        SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) AS d WHERE n + d > 0
    )::halfvec
    FROM generate_series(1, 2500) AS n";

#[tokio::test(flavor = "multi_thread")]
async fn an_order_lasts_beyond_the_first_candidates() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run(CROWD).await?;
    sql.run(PASSAGES).await?;
    let mut seen = Vec::new();
    for offset in (0..=1_000).step_by(50) {
        let request = json!({ "query": "the sea", "mode": "semantic", "limit": 50, "offset": offset, "fields": [] });
        let body = app.post("/search", request).await?.success(200)?;
        let page: Vec<String> = ids(&body["hits"], "document_id")
            .into_iter()
            .map(str::to_owned)
            .collect();
        assert_eq!(page.len(), 50, "from {offset} on");
        seen.extend(page);
    }
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count, "no hit is on two pages");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_total_is_estimated_unless_it_must_be_exact() -> Outcome {
    let app = App::start().await?;
    app.sql().await?.run(CROWD).await?;
    let search = async |request: Value| app.post("/search", request).await?.success(200);
    let exact =
        search(json!({ "query": "a", "limit": 1, "count": "exact", "filter": { "third": 1 } }))
            .await?;
    assert_eq!(
        (&exact["total"], &exact["total_is_exact"]),
        (&json!(2000), &json!(true))
    );
    let estimated = search(json!({ "query": "a", "limit": 1, "filter": { "third": 1 } })).await?;
    assert_eq!(estimated["total_is_exact"], false);
    let total = estimated["total"].as_i64().context("a number")?;
    assert!((1_000..=4_000).contains(&total), "{total}");
    let uncounted = search(json!({ "query": "a", "limit": 1, "count": "none" })).await?;
    assert_eq!(uncounted.get("total"), None);

    let listed = app
        .get("/documents", &[("count", "exact"), ("limit", "1")])
        .await?
        .success(200)?;
    assert_eq!(
        (&listed["total"], &listed["total_is_exact"]),
        (&json!(6000), &json!(true))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_listed_by_their_times() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    let documents = ["b", "d", "a", "e", "c"]
        .map(|id| json!({ "id": id, "content": format!("Text of {id}.") }));
    app.ingest(documents.to_vec()).await?;
    // Two documents with the same time, ordered by id.
    sql.run(
        "UPDATE rappel.documents SET created_at = timestamptz '2026-01-01 00:00:00.000001Z'
             + CASE id WHEN 'd' THEN 0 WHEN 'b' THEN 1 WHEN 'a' THEN 1 WHEN 'e' THEN 2 ELSE 3 END * interval '1 microsecond',
             updated_at = timestamptz '2026-02-01 00:00Z' - ascii(id) * interval '1 day'",
    )
    .await?;
    for (sort, expected) in [
        ("id", "a b c d e"),
        ("-id", "e d c b a"),
        ("created_at", "d a b e c"),
        ("-created_at", "c e b a d"),
        ("updated_at", "e d c b a"),
        ("-updated_at", "a b c d e"),
    ] {
        let (mut listed, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app
                .get(
                    "/documents",
                    &[("sort", sort), ("limit", "2"), ("cursor", &cursor)],
                )
                .await?
                .success(200)?;
            listed.extend(ids(&page["documents"], "id").into_iter().map(str::to_owned));
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(listed.join(" "), expected, "{sort}");
        if !cursor.is_empty() {
            let other = app
                .get(
                    "/documents",
                    &[("sort", "-created_at"), ("cursor", &cursor), ("limit", "2")],
                )
                .await?;
            assert!(
                sort == "-created_at" || other.refused()? == ["cursor"],
                "{sort}"
            );
        }
    }
    let since = [(
        "filter",
        r#"{"$created_at": {"$gte": "2026-01-01T00:00:00.000Z"}}"#,
    )];
    assert_eq!(
        app.get("/documents", &since).await?.success(200)?["total"],
        5
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn facets_count_values_among_the_candidates() -> Outcome {
    let app = App::start().await?;
    let note = |id: usize, metadata: Value| json!({ "id": format!("note-{id}"), "content": format!("Note de service numéro {id}."), "metadata": metadata });
    app.ingest(vec![
        note(
            1,
            json!({ "lang": "fr", "tags": ["a", "b", "a"], "x": { "y": 1 } }),
        ),
        note(2, json!({ "lang": "fr", "tags": "b", "x": { "y": 1.0 } })),
        note(3, json!({ "lang": "en", "tags": null, "x": { "y": true } })),
        note(4, json!({ "lang": { "code": "fr" } })),
    ])
    .await?;
    let request = json!({ "query": "note de service", "limit": 1, "facets": ["lang", "tags", "x.y", "nothing"], "filter": { "lang": { "$exists": true } } });
    let body = app.post("/search", request).await?.success(200)?;
    assert_eq!(
        body["facets"],
        json!({
            "lang": [{ "value": "fr", "count": 2 }, { "value": "en", "count": 1 }],
            "tags": [{ "value": "b", "count": 2 }, { "value": null, "count": 1 }, { "value": "a", "count": 1 }],
            "x.y": [{ "value": 1, "count": 2 }, { "value": true, "count": 1 }],
            "nothing": [],
        })
    );
    assert_eq!(body["facet_documents"], 4);
    let get = app
        .get(
            "/search",
            &[("q", "note de service"), ("facets", "lang,tags")],
        )
        .await?
        .success(200)?;
    assert_eq!(get["facets"]["lang"], body["facets"]["lang"]);

    let many: Vec<Value> = (0..30)
        .map(|n| note(10 + n, json!({ "kind": n })))
        .collect();
    app.ingest(many).await?;
    let request = json!({ "query": "note de service", "facets": ["kind"] });
    let body = app.post("/search", request).await?.success(200)?;
    assert_eq!(
        body["facets"]["kind"].as_array().map(Vec::len),
        Some(20),
        "at most twenty values"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_carry_what_was_asked_for() -> Outcome {
    let app = App::start().await?;
    app.ingest(vec![json!({ "id": "a", "title": "Crypt", "content": "The crypt is closed.", "metadata": { "k": 1, "l": 2, "e\u{301}": 3 } })])
        .await?;
    let keys = |hit: &Value| {
        hit.as_object()
            .map(|hit| hit.keys().cloned().collect::<Vec<_>>().join(" "))
    };
    for (request, expected, metadata) in [
        (json!({ "fields": [] }), "chunk document_id", Value::Null),
        (
            json!({ "fields": ["title", "score"] }),
            "chunk document_id score title",
            Value::Null,
        ),
        (
            json!({ "fields": ["title"], "metadata_fields": ["k"] }),
            "chunk document_id metadata title",
            json!({ "k": 1 }),
        ),
        (
            json!({ "metadata_fields": ["\u{e9}", "none"], "fields": ["metadata"] }),
            "chunk document_id metadata",
            json!({ "\u{e9}": 3 }),
        ),
    ] {
        let mut request = request;
        request["query"] = json!("crypt");
        let hits = app.hits(request.clone()).await?;
        assert_eq!(keys(&hits[0]).as_deref(), Some(expected), "{request}");
        assert_eq!(hits[0]["metadata"], metadata, "{request}");
    }
    let get = app
        .get("/search", &[("q", "crypt"), ("fields", "title, distance")])
        .await?
        .success(200)?;
    assert_eq!(
        keys(&get["hits"][0]).as_deref(),
        Some("chunk distance document_id title")
    );
    let listed = app
        .get("/documents", &[("metadata_fields", "k,l")])
        .await?
        .success(200)?;
    assert_eq!(
        listed["documents"][0]["metadata"],
        json!({ "k": 1, "l": 2 })
    );
    Ok(())
}
