//! Changes of all documents that match a filter.

use reqwest::Method;
use serde_json::{Value, json};
use tests::App;

use super::{embeddings, send};
use crate::Outcome;

fn leaves(count: usize) -> Vec<Value> {
    let leaf = |n: usize| json!({ "id": format!("leaf-{n:03}"), "content": format!("Leaf number {n}."), "metadata": { "page": n, "book": "log" } });
    (0..count).map(leaf).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_that_match_a_filter_are_deleted_after_confirmation() -> Outcome {
    let app = App::start().await?;
    app.ingest(leaves(5)).await?;
    let path = |filter: Value, rest: &str| {
        let filter: String = url_encoded(&filter.to_string());
        format!("/documents?filter={filter}{rest}")
    };
    let first_pages = json!({ "page": { "$lt": 2 }, "$id": { "$ne": "nobody" } });
    for dry in ["", "&confirm=false"] {
        let counted = app
            .delete(&path(first_pages.clone(), dry))
            .await?
            .success(200)?;
        assert_eq!(counted, json!({ "matching": 2, "deleted": 0 }));
    }
    let deleted = app
        .delete(&path(first_pages, "&confirm=true"))
        .await?
        .success(200)?;
    assert_eq!(deleted, json!({ "matching": 2, "deleted": 2 }));

    for refused in [
        "/documents".to_owned(),
        "/documents?confirm=true".to_owned(),
        "/documents?filter=&confirm=true".to_owned(),
        path(json!({}), "&confirm=true"),
        path(json!({ "$or": [{ "page": 3 }, {}] }), "&confirm=true"),
        path(json!({ "page": { "$nin": [] } }), "&confirm=true"),
    ] {
        assert_eq!(
            app.delete(&refused).await?.refused()?,
            ["filter"],
            "{refused}"
        );
    }
    let answer = app
        .delete(&path(json!({ "page": 3 }), "&confirm=yes"))
        .await?;
    assert_eq!(answer.refused()?, ["confirm"]);

    let sql = app.sql().await?;
    assert_eq!(
        sql.number("SELECT count(*) FROM rappel.documents", &[])
            .await?,
        3
    );
    for table in ["chunks", "chunk_terms"] {
        let count = format!("SELECT count(DISTINCT document_id) FROM rappel.{table}");
        assert_eq!(sql.number(&count, &[]).await?, 3, "{table}");
    }
    let counted = "SELECT sum(chunks)::bigint FROM rappel.term_statistics WHERE term = ''";
    assert_eq!(sql.number(counted, &[]).await?, 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn more_documents_than_a_transaction_deletes_are_deleted_between_others() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run(
        "INSERT INTO rappel.documents (tenant, id, title, content, metadata, content_hash)
         SELECT '', 'n-' || lpad(n::text, 4, '0'), '', 'Some text.', jsonb_build_object('n', n, 'odd', n % 2), '\\x00'
         FROM generate_series(1, 2400) AS n",
    )
    .await?;
    let filter = url_encoded(r#"{"odd": 1, "n": {"$gt": 100}}"#);
    let deleted = app
        .delete(&format!("/documents?filter={filter}&confirm=true"))
        .await?
        .success(200)?;
    assert_eq!(deleted, json!({ "matching": 1_150, "deleted": 1_150 }));
    let left = "SELECT count(*) FROM rappel.documents";
    assert_eq!(sql.number(left, &[]).await?, 1_250);
    let noted = "SELECT sum((detail ->> 'documents')::bigint)::bigint FROM rappel.audit WHERE act = 'documents.delete'";
    assert_eq!(sql.number(noted, &[]).await?, 1_150);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_documents_that_match_a_filter_is_patched() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    // More than are changed in one transaction.
    app.ingest(leaves(70)).await?;
    let before = embeddings(&sql).await?;
    let patch = |filter: Value, metadata: Value| {
        send(
            &app,
            Method::PATCH,
            "/documents",
            None,
            json!({ "filter": filter, "metadata": metadata }),
        )
    };
    let filter = json!({ "page": { "$gte": 5 } });
    let changed = patch(
        filter.clone(),
        json!({ "book": null, "shelf": { "no": 1 } }),
    )
    .await?
    .success(200)?;
    assert_eq!(changed, json!({ "matching": 65, "updated": 65 }));
    let again = patch(
        filter.clone(),
        json!({ "book": null, "shelf": { "no": 1 } }),
    )
    .await?
    .success(200)?;
    assert_eq!(again, json!({ "matching": 65, "updated": 0 }));
    assert_eq!(embeddings(&sql).await?, before, "nothing was embedded");
    let listed = app
        .get("/documents", &[("filter", r#"{"shelf.no": 1}"#)])
        .await?
        .success(200)?;
    assert_eq!(listed["total"], 65);

    // What is stored says what it is: the same document again is unchanged.
    let leaf =
        json!({ "content": "Leaf number 7.", "metadata": { "page": 7, "shelf": { "no": 1 } } });
    assert_eq!(
        app.put("/documents/leaf-007", leaf).await?.success(200)?["status"],
        "unchanged"
    );

    for (filter, metadata, field) in [
        (Value::Null, json!({ "a": 1 }), "filter"),
        (json!({}), json!({ "a": 1 }), "filter"),
        (filter.clone(), json!([1]), "metadata"),
        (filter.clone(), json!({ "language": "fr" }), "metadata"),
        (filter, json!({ "a": "x".repeat(16 * 1024) }), "metadata"),
    ] {
        assert_eq!(patch(filter, metadata).await?.refused()?, [field]);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_documents_are_patched_a_few_at_a_time() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run(
        "INSERT INTO rappel.documents (tenant, id, title, content, metadata, content_hash)
         SELECT '', 'book-' || n, '', repeat('Some text. ', CASE n WHEN 3 THEN 450000 ELSE 200000 END), '{\"long\": true}', '\\x00'
         FROM generate_series(1, 6) AS n",
    )
    .await?;
    let body = json!({ "filter": { "long": true }, "metadata": { "shelf": 4 } });
    let changed = send(&app, Method::PATCH, "/documents", None, body).await?;
    assert_eq!(
        changed.success(200)?,
        json!({ "matching": 6, "updated": 6 })
    );
    let shelved = "SELECT count(*) FROM rappel.documents WHERE metadata ->> 'shelf' = '4'";
    assert_eq!(sql.number(shelved, &[]).await?, 6);
    let transactions = "SELECT count(DISTINCT xmin::text) FROM rappel.documents";
    assert!(sql.number(transactions, &[]).await? > 1);
    Ok(())
}

fn url_encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
