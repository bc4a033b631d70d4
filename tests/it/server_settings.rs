//! Databases whose owner has chosen other settings than Postgres' defaults: the product answers the same.

use anyhow::Result;
use serde_json::{Value, json};
use tests::{App, Sql, documents_equal, samples};

use crate::{
    Outcome,
    sources::{ARTICLES, DOCUMENTS, definition},
};

/// Settings that change what statements mean, how values are written, or which plans are chosen.
const SETTINGS: [(&str, &str); 27] = [
    ("array_nulls", "off"),
    ("bytea_output", "escape"),
    ("check_function_bodies", "off"),
    ("client_min_messages", "error"),
    ("datestyle", "German"),
    ("default_statistics_target", "1"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_isolation", "serializable"),
    ("escape_string_warning", "off"),
    ("extra_float_digits", "-15"),
    ("from_collapse_limit", "1"),
    ("gin_fuzzy_search_limit", "2"),
    ("hnsw.ef_search", "1"),
    ("hnsw.max_scan_tuples", "1"),
    ("idle_session_timeout", "500"),
    ("intervalstyle", "sql_standard"),
    ("join_collapse_limit", "1"),
    ("maintenance_work_mem", "1MB"),
    ("min_parallel_table_scan_size", "0"),
    ("parallel_setup_cost", "0"),
    ("parallel_tuple_cost", "0"),
    ("plan_cache_mode", "force_generic_plan"),
    ("plpgsql.variable_conflict", "use_variable"),
    ("row_security", "off"),
    ("standard_conforming_strings", "off"),
    ("timezone", "Asia/Kathmandu"),
    ("transform_null_equals", "on"),
];

/// The product on a database with these settings and an empty `search_path`.
async fn unusual(pooler: &str) -> Result<App> {
    let (app, ()) = App::through(async |url| {
        let sql = Sql::connect(url).await?;
        let name = sql
            .texts("SELECT current_database()::text", &[])
            .await?
            .remove(0);
        for (setting, value) in SETTINGS {
            sql.run(&format!("ALTER DATABASE {name} SET {setting} = '{value}'"))
                .await?;
        }
        sql.run(&format!("ALTER DATABASE {name} SET search_path = ''"))
            .await?;
        let pooler = ("DATABASE_POOLER".to_owned(), pooler.to_owned());
        Ok(((), vec![pooler]))
    })
    .await?;
    app.invoke("migrate", json!({})).await?;
    Ok(app)
}

/// What a day's work answers.
async fn answers(app: &App) -> Result<Vec<Value>> {
    app.ingest(samples()?).await?;
    let mut answers = Vec::new();
    for mode in ["semantic", "keyword", "hybrid"] {
        for request in [
            json!({ "query": "Comment faire une pâte à crêpes ?" }),
            json!({ "query": "\"library card\" -borrow", "highlight": true }),
            json!({ "query": "holidays", "filter": { "lang": { "$in": ["en", "fr"] } }, "facets": ["lang"], "count": "exact" }),
            json!({ "query": "vacances", "filter": { "$not": { "lang": "en" }, "$created_at": { "$gt": "2020-01-01" } } }),
            json!({ "query": "a burn", "passages": 3, "offset": 2, "limit": 5, "explain": true }),
        ] {
            let mut request = request;
            request["mode"] = mode.into();
            answers.push(app.post("/search", request).await?.success(200)?);
        }
    }
    let sorted = [("sort", "-updated_at"), ("limit", "100")];
    let listed = app.get("/documents", &sorted).await?.success(200)?;
    let count = listed["documents"].as_array().map(Vec::len);
    answers.push(json!({ "listed": count }));
    answers.push(
        app.get("/documents/sante-brulure/similar", &[])
            .await?
            .success(200)?,
    );
    answers.push(
        app.delete("/documents?filter={\"lang\":\"en\"}&confirm=true")
            .await?
            .success(200)?,
    );
    for answer in &mut answers {
        redact(answer);
    }
    Ok(answers)
}

/// Drops times.
fn redact(answer: &mut Value) {
    match answer {
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(members) => {
            members.retain(|name, _| {
                ![
                    "created_at",
                    "updated_at",
                    "timings",
                    "took_ms",
                    "request_id",
                ]
                .contains(&name.as_str())
            });
            members.values_mut().for_each(redact);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_unusual_settings_answers_the_same() -> Outcome {
    let usual = answers(&App::start().await?).await?;
    for pooler in ["direct", "transaction"] {
        let app = unusual(pooler).await?;
        for (usual, unusual) in usual.iter().zip(answers(&app).await?) {
            assert_eq!(usual, &unusual, "{pooler}");
        }
        let sql = app.user_sql().await?;
        sql.run("SET idle_session_timeout = 0").await?;
        sql.run(ARTICLES).await?;
        app.follow("articles", definition()).await?;
        let source = app.synced("articles").await?;
        assert_eq!(source["failed"], 0, "{pooler}: {source}");
        sql.run(
            "UPDATE articles SET body = 'changed' WHERE id = 3; DELETE FROM articles WHERE id = 4",
        )
        .await?;
        let source = app.synced("articles").await?;
        assert_eq!(source["failed"], 0, "{pooler}: {source}");
        documents_equal(&sql, "articles", DOCUMENTS).await?;
    }
    Ok(())
}
