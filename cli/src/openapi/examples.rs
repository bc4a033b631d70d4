//! Examples of bodies. The contract test sends the requests to the built functions, and validates the answers.

use serde_json::{Value, json};

pub(super) fn searches() -> Vec<Value> {
    vec![
        json!({ "query": "how do I renew a library card", "limit": 3 }),
        json!({
            "query": "heures d’ouverture de la plage", "mode": "hybrid", "min_relevance": 0.2, "passages": 2,
            "filter": { "year": { "$gte": 2022 }, "language": { "$in": ["fr", "en"] } },
            "facets": ["season"], "count": "exact", "expand": 1, "explain": true,
        }),
        json!({ "query": "beach", "mode": "keyword", "offset": 10, "fields": ["title", "relevance"] }),
    ]
}

pub(super) fn hits() -> Value {
    json!({
        "hits": [{
            "document_id": "beach", "chunk": 0, "title": "Beach",
            "content": "The beach closes at 10 pm in summer.", "metadata": { "season": "summer" },
            "distance": 0.4621, "keyword_score": 9.503, "coverage": 0.488, "score": 0.52, "relevance": 0.963,
        }],
        "total": 60, "total_is_exact": true,
        "took_ms": { "embed": 17.331, "database": 12.965, "total": 30.297 },
    })
}

pub(super) fn chats() -> Vec<Value> {
    vec![
        json!({ "question": "How long may I stay on the beach?", "stream": false }),
        json!({
            "messages": [
                { "role": "user", "content": "When does the beach close?" },
                { "role": "assistant", "content": "At 10 pm in summer [1].",
                  "sources": [{ "number": 1, "title": "Beach", "document_id": "beach" }] },
                { "role": "user", "content": "And in winter?" },
            ],
            "limit": 4, "source_fields": ["season", "$updated_at"],
        }),
    ]
}

pub(super) fn answer() -> Value {
    json!({
        "answer": "Until 10 pm in summer [1].",
        "query": "How long may I stay on the beach?",
        "sources": [{
            "number": 1, "document_id": "beach", "chunk": 0, "title": "Beach",
            "content": "The beach closes at 10 pm in summer.", "metadata": { "season": "summer" },
            "distance": 0.31, "keyword_score": 2.1, "coverage": 0.5, "score": 0.62, "relevance": 0.9,
        }],
        "finish_reason": "stop",
        "usage": { "prompt_tokens": 412, "completion_tokens": 14 },
        "cited": [1], "citations": [{ "start": 22, "end": 25, "source": 1 }], "citations_invalid": 0,
        "took_ms": { "retrieval": 31.2, "first_token": 402.5, "total": 811.0 },
    })
}

pub(super) fn completions() -> Vec<Value> {
    let messages = json!([{ "role": "user", "content": "How long may I stay on the beach?" }]);
    vec![
        json!({ "model": "rappel", "messages": messages }),
        json!({ "model": "rappel", "messages": messages, "stream": true, "stream_options": { "include_usage": true } }),
    ]
}

pub(super) fn embeddings() -> Vec<Value> {
    vec![
        json!({ "input": "The beach closes at 10 pm." }),
        json!({ "input": ["beach", "plage"], "input_type": "query", "encoding_format": "base64" }),
    ]
}

pub(super) fn documents() -> Vec<Value> {
    vec![
        json!({
            "title": "Beach", "content": "The beach closes at 10 pm in summer.", "metadata": { "season": "summer" },
        }),
        // <h1>Beach</h1>
        json!({ "content_type": "text/html", "content_base64": "PGgxPkJlYWNoPC9oMT4=" }),
    ]
}

pub(super) fn batches() -> Vec<Value> {
    vec![json!({ "documents": [{
        "id": "beach", "title": "Beach", "content": "The beach closes at 10 pm in summer.",
        "metadata": { "season": "summer", "year": 2026, "language": "en" },
    }] })]
}

pub(super) fn outcome() -> Value {
    json!({ "id": "beach", "status": "created", "chunks": 1 })
}

pub(super) fn patches() -> Vec<Value> {
    vec![json!({ "title": "The beach", "metadata": { "seen": true, "draft": null } })]
}

pub(super) fn matching_patches() -> Vec<Value> {
    vec![json!({ "filter": { "season": "summer" }, "metadata": { "open": true, "draft": null } })]
}

pub(super) fn page() -> Value {
    json!({
        "documents": [{
            "id": "beach", "title": "Beach", "metadata": { "season": "summer" }, "chunks": 1,
            "created_at": "2026-11-28T10:00:00.000Z", "updated_at": "2026-11-28T10:00:00.000Z",
        }],
        "next_cursor": null, "total": 1, "total_is_exact": true,
    })
}

pub(super) fn document() -> Value {
    let mut document = page()["documents"][0].clone();
    document["content"] = "The beach closes at 10 pm in summer.".into();
    document
}

pub(super) fn similar() -> Value {
    json!({ "hits": [{
        "document_id": "pool", "chunk": 0, "title": "Swimming pool",
        "content": "The pool closes at 8 pm.", "metadata": { "season": "summer" }, "distance": 0.41,
    }] })
}

pub(super) fn imports() -> Vec<Value> {
    vec![json!({ "source": "s3://bucket/documents.jsonl.gz" })]
}

pub(super) fn import() -> Value {
    json!({
        "id": "6f1c2a90-5d43-4b1e-9c57-0a2be8d1f3c4", "source": "s3://bucket/documents.jsonl.gz", "state": "running",
        "documents": { "total": 1000, "done": 998, "unchanged": 0, "failed": 2 },
        "bytes": { "total": 2_000_000, "done": 1_200_000 },
        "parts": { "total": 4, "done": 2, "failed": 0 },
        "documents_per_second": 37.5, "created_at": "2026-11-28T10:00:00.000Z", "finished_at": null,
        "failures": [{ "offset": 5120, "line": 17, "document_id": "beach", "reason": "content: is missing" }],
    })
}

pub(super) fn sources() -> Vec<Value> {
    vec![json!({
        "table": "public.articles", "title": "title", "content": "body", "metadata": ["author"], "where": "published",
    })]
}

pub(super) fn source() -> Value {
    json!({
        "name": "articles",
        "definition": {
            "table": "public.articles", "title": "title", "content": "body", "metadata": { "author": "author" },
        },
        "state": "following", "rows": { "total": 120, "estimated": false }, "documents": 118, "pending": 0, "failed": 0,
        "lag_seconds": 0.0, "created_at": "2026-11-28T10:00:00.000Z", "updated_at": "2026-11-28T10:00:00.000Z",
        "filled_at": "2026-11-28T10:00:09.000Z",
    })
}

pub(super) fn key_requests() -> Vec<Value> {
    vec![
        json!({ "name": "website", "scopes": ["search", "chat"], "tenant": "acme", "expires_in": 7_776_000 }),
    ]
}

pub(super) fn created_key() -> Value {
    let mut created = key();
    created["key"] = json!(format!("rpl_{}", "0".repeat(49)));
    created
}

pub(super) fn key() -> Value {
    json!({
        "id": "key_3fYq0ZkR1bTc", "name": "website", "prefix": "rpl_4f9c2a", "scopes": ["search", "chat"], "tenant": "acme",
        "filter": null, "requests_per_minute": 60, "max_documents": null, "created_at": "2026-11-28T10:00:00Z", "expires_at": "2027-02-26T10:00:00Z",
        "revoked_at": null, "last_used_at": null,
    })
}

pub(super) fn tenant() -> Value {
    json!({
        "documents": 120, "chunks": 480, "bytes": 912_384,
        "limits": { "requests_per_minute": 600, "max_documents": 10_000 },
        "removal": { "requested_at": "2026-11-28T10:00:00.000Z", "documents": 500, "chunks": 2000 },
    })
}

pub(super) fn limits() -> Vec<Value> {
    vec![json!({ "requests_per_minute": 600, "max_documents": 10_000 })]
}

pub(super) fn usage() -> Value {
    json!({
        "usage": [{
            "day": "2026-11-28", "tenant": "acme", "key": "key_3fYq0ZkR1bTc", "requests": 1200, "documents": 40,
            "embedded_tokens": 52_000, "prompt_tokens": 180_000, "completion_tokens": 24_000,
        }],
        "next_cursor": null,
    })
}

pub(super) fn audit() -> Value {
    json!({
        "acts": [{
            "id": 7, "at": "2026-11-28T10:00:00.000Z", "actor": "key_3fYq0ZkR1bTc", "tenant": "acme",
            "act": "tenant.limit", "subject": "acme", "detail": { "requests_per_minute": 600, "max_documents": 10_000 },
        }],
        "next_cursor": null,
    })
}

pub(super) fn tenants() -> Value {
    json!({
        "tenants": [{
            "id": "acme", "documents": 120, "removal_requested_at": null, "removal_finished_at": null,
        }],
        "next_cursor": null,
    })
}

pub(super) fn health() -> Value {
    json!({ "status": "ok", "checks": [{ "name": "database", "status": "ok", "took_ms": 1.2 }] })
}

pub(super) fn messages() -> Vec<Value> {
    vec![json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" })]
}
