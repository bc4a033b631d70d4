//! Filters: what they match, in searches and listings, and which are refused.

mod copies;
mod naive;
mod normal_form;
mod random;

use std::collections::BTreeSet;

use anyhow::Context as _;
use filter::{Filter, values_path};
use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};
use tests::{
    App, Sql,
    command::{Printed, rappel},
};
use tokio::{runtime::Handle, task::block_in_place};

use self::naive::Document;
use crate::Outcome;

/// Filters of the comparison, and documents that each of a batch is compared on.
const BATCHES: u32 = 20;
const FILTERS: usize = 500;
const DOCUMENTS: usize = 40;

/// Finds what each of several filters matches, with a plan of its own for each, as a request has: by testing each document,
/// or by looking for those that match.
const FOUND: &str = concat!(
    "CREATE FUNCTION pg_temp.found(filters text[], is_selected boolean) RETURNS SETOF text
     LANGUAGE plpgsql SET plan_cache_mode = force_custom_plan AS $$
     DECLARE
         wanted jsonb;
         ids    text;
     BEGIN
         FOREACH wanted IN ARRAY filters LOOP
             SELECT coalesce(string_agg(d.id, ' ' ORDER BY d.id), '') INTO ids
             FROM rappel.documents AS d WHERE NOT is_selected AND ",
    schema::function!("matches"),
    "(d, wanted);
             IF is_selected THEN
                 wanted := ",
    schema::function!("with_indexes"),
    "(wanted);
                 SELECT coalesce(string_agg(d.id, ' ' ORDER BY d.id), '') INTO ids
                 FROM rappel.documents AS d WHERE d.tenant = '' AND ",
    schema::function!("selected"),
    "(d, wanted);
             END IF;
             RETURN NEXT ids;
         END LOOP;
     END $$"
);

const STORE: &str = "
    INSERT INTO rappel.documents (id, title, content, metadata, content_hash, created_at, updated_at)
    SELECT u.id, u.title, '', u.metadata::jsonb, '', to_timestamp(u.created::double precision / 1000),
           to_timestamp(u.updated::double precision / 1000)
    FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS u (id, title, metadata, created, updated)
    RETURNING id";

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_filters_find_what_they_mean() -> Outcome {
    let app = App::start().await?;
    let sql = app.sql().await?;
    sql.run(FOUND).await?;
    for key in random::FIELDS {
        let mut add = rappel(Some(app.database_url()), &["index", "add", key]).await?;
        Printed::by(&mut add).await?.answer()?;
    }
    let list = ["index", "list", "--json"];
    let list = Printed::by(&mut rappel(Some(app.database_url()), &list).await?).await?;
    let listed = list.json()?;
    let listed = listed["indexes"].as_array().context("a list")?;
    let path = |field: &str| values_path(field, "field").ok();
    let listed: BTreeSet<_> = listed
        .iter()
        .map(|it| path(it["field"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(listed, random::FIELDS.into_iter().map(path).collect());
    let mut runner = TestRunner::new(Config {
        cases: BATCHES,
        // Each round compares hundreds of filters; some rounds leave few of them.
        max_shrink_iters: 300,
        failure_persistence: None,
        ..Config::default()
    });
    let batch = (random::documents(DOCUMENTS), vec(random::filter(), FILTERS));
    let outcome = runner.run(&batch, |(documents, filters)| {
        let compared = compare(&sql, &documents, &filters);
        let compared = block_in_place(|| Handle::current().block_on(compared));
        compared.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    outcome.map_err(|error| anyhow::anyhow!("{error}"))
}

/// Compares what Postgres finds with what the filters mean, half of them answered from the index.
async fn compare(sql: &Sql, documents: &[Document], filters: &[Value]) -> anyhow::Result<()> {
    sql.run("DELETE FROM rappel.documents").await?;
    let column = |value: fn(&Document) -> String| documents.iter().map(value).collect::<Vec<_>>();
    let created: Vec<i64> = documents
        .iter()
        .map(|document| document.created_at)
        .collect();
    let updated: Vec<i64> = documents
        .iter()
        .map(|document| document.updated_at)
        .collect();
    sql.texts(
        STORE,
        &[
            &column(|document| document.id.clone()),
            &column(|document| document.title.clone()),
            &column(|document| document.metadata.to_string()),
            &created,
            &updated,
        ],
    )
    .await?;
    let (scanned, indexed) = filters.split_at(filters.len() / 2);
    for (filters, scan, is_selected) in [(scanned, "on", false), (indexed, "off", true)] {
        sql.run(&format!("SET enable_seqscan = {scan}")).await?;
        let compile = |filter: &Value| {
            let parsed = Filter::parse(&filter.to_string());
            parsed
                .map(|parsed| parsed.compile().to_json())
                .with_context(|| filter.to_string())
        };
        let compiled = filters
            .iter()
            .map(compile)
            .collect::<anyhow::Result<Vec<_>>>()?;
        let found = sql
            .texts("SELECT pg_temp.found($1, $2)", &[&compiled, &is_selected])
            .await?;
        for ((filter, compiled), found) in filters.iter().zip(compiled).zip(found) {
            let meant = documents
                .iter()
                .filter(|document| naive::matches(filter, document));
            let mut meant: Vec<&str> = meant.map(|document| document.id.as_str()).collect();
            meant.sort_unstable();
            anyhow::ensure!(
                meant.join(" ") == found,
                "{filter} means {meant:?} and finds {found}: {compiled}"
            );
        }
    }
    Ok(())
}

fn library() -> Vec<Value> {
    let book = |id: &str, title: &str, metadata: Value| json!({ "id": id, "title": title, "content": format!("Un livre de la réserve : {id}."), "metadata": metadata });
    vec![
        book(
            "atlas",
            "Atlas",
            json!({ "year": 1912, "tags": ["maps", "large"], "loan": { "until": "2026-05-02" } }),
        ),
        book(
            "bible",
            "",
            json!({ "year": 1708, "tags": [], "price.eur": 900, "loan": null }),
        ),
        book(
            "comic",
            "Comic",
            json!({ "year": 1964, "tags": "drawn", "loan": { "until": "2026-05-02T18:00:00+02:00" } }),
        ),
        book(
            "diary",
            "Diary",
            json!({ "year": "unknown", "pages": [{ "n": 3, "ink": "red" }, { "n": 9, "ink": "blue" }] }),
        ),
    ]
}

/// Filters, and the books that each means.
fn meanings() -> Vec<(Value, Vec<&'static str>)> {
    vec![
        (
            json!({ "year": { "$gte": 1800, "$lt": 1964 } }),
            vec!["atlas"],
        ),
        (
            json!({ "year": { "$not": { "$lt": 1912 } } }),
            vec!["atlas", "comic", "diary"],
        ),
        (json!({ "tags": "maps" }), vec!["atlas"]),
        (json!({ "tags": { "$contains": "drawn" } }), vec![]),
        (
            json!({ "tags": { "$nin": ["maps", "drawn"] } }),
            vec!["bible", "diary"],
        ),
        (
            json!({ "loan": { "$exists": true }, "loan.until": { "$exists": false } }),
            vec!["bible"],
        ),
        (
            json!({ "loan.until": { "$lte": "2026-05-02T16:00:00Z" } }),
            vec!["atlas", "comic"],
        ),
        (
            json!({ "loan.until": { "$gt": "2026-05-02T15:59:59.9Z" } }),
            vec!["comic"],
        ),
        (json!({ "price.eur": { "$gt": 100 } }), vec![]),
        (json!({ r"price\.eur": { "$gt": 100 } }), vec!["bible"]),
        (json!({ "pages": { "n": 3, "ink": "blue" } }), vec!["diary"]),
        (json!({ "pages": [{ "n": 3, "ink": "blue" }] }), vec![]),
        (
            json!({ "pages": [{ "ink": "blue" }, { "n": 3 }] }),
            vec!["diary"],
        ),
        (
            json!({ "$or": [{ "$id": { "$in": ["comic", "nowhere"] } }, { "$title": "Atlas" }] }),
            vec!["atlas", "comic"],
        ),
        (json!({ "$title": { "$exists": false } }), vec!["bible"]),
        (
            json!({ "$source": null, "$created_at": { "$gt": "2020-01-01" }, "year": 1708 }),
            vec!["bible"],
        ),
        (
            json!({ "$updated_at": { "$lt": "2020-01-01T00:00:00Z" } }),
            vec![],
        ),
        (json!({ "year": { "$in": [] } }), vec![]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn one_filter_means_the_same_in_every_mode_and_listing() -> Outcome {
    let app = App::start().await?;
    app.ingest(library()).await?;
    for (filter, expected) in meanings() {
        for mode in ["semantic", "keyword", "hybrid"] {
            let request = json!({ "query": "livre", "mode": mode, "filter": filter, "limit": 100 });
            let hits = app.hits(request).await?;
            assert_eq!(ids(&hits, "document_id"), expected, "{mode}: {filter}");
        }
        let text = filter.to_string();
        let body = app
            .get("/search", &[("q", "livre"), ("filter", &text)])
            .await?
            .success(200)?;
        assert_eq!(
            ids(list(&body["hits"])?, "document_id"),
            expected,
            "{filter}"
        );
        let body = app
            .get("/documents", &[("filter", &text)])
            .await?
            .success(200)?;
        assert_eq!(ids(list(&body["documents"])?, "id"), expected, "{filter}");
        assert_eq!(body["total"], expected.len(), "{filter}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_filter_is_refused_with_its_place() -> Outcome {
    let app = App::start().await?;
    for (filter, field, named) in [
        (json!({ "a": { "$regx": 1 } }), "filter.a.$regx", "$exists"),
        (
            json!({ "$id": { "$contains": "a" } }),
            "filter.$id.$contains",
            "$nin",
        ),
        (
            json!({ "$or": [{ "a": 1 }, { "a": { "$gt": null } }] }),
            "filter.$or[1].a.$gt",
            "null",
        ),
        (
            json!({ "a": { "$in": [1, [2]] } }),
            "filter.a.$in[1]",
            "a list",
        ),
        (
            json!({ "$updated_at": "yesterday" }),
            "filter.$updated_at",
            "ISO date",
        ),
    ] {
        let answers = [
            app.post("/search", json!({ "query": "a", "filter": filter }))
                .await?,
            app.get("/search", &[("q", "a"), ("filter", &filter.to_string())])
                .await?,
            app.get("/documents", &[("filter", &filter.to_string())])
                .await?,
            app.request(
                reqwest::Method::PATCH,
                "/documents",
                &[("content-type", "application/json")],
                json!({ "filter": filter, "metadata": {} })
                    .to_string()
                    .into_bytes(),
            )
            .await?,
        ];
        for answer in answers {
            assert_eq!(answer.refused()?, [field]);
            assert!(answer.text.contains(named), "{}", answer.text);
        }
    }
    Ok(())
}

fn list(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value.as_array().context("a list")
}

fn ids<'a>(documents: &'a [Value], key: &str) -> Vec<&'a str> {
    let mut ids: Vec<&str> = documents
        .iter()
        .filter_map(|document| document[key].as_str())
        .collect();
    ids.sort_unstable();
    ids
}
