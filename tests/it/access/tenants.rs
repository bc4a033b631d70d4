//! Tenants as an administrator sees them.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{App, Pace, eventually};

use super::{key, send, store};
use crate::{Outcome, imports::lines};

const ALL: [&str; 2] = ["--scope", "search,write,admin"];

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_tenant_is_gone_from_every_table_and_its_keys_are_refused() -> Outcome {
    let keys = vec![("AUTHORIZATION".to_owned(), "keys".to_owned())];
    let (app, queue) = App::with_imports_and(Pace::default(), keys).await?;
    let operator = key(&app, &ALL).await?;
    let of =
        async |tenant: &'static str| key(&app, &[&ALL[..], &["--tenant", tenant]].concat()).await;
    let (acme, other) = (of("acme").await?, of("other").await?);
    for bearer in [&acme, &other] {
        store(&app, bearer, "plan", json!({})).await?;
    }
    let ask = async |bearer: &str, method: Method, path: &str| {
        send(&app, bearer, method, path, Value::Null).await
    };
    let own = ask(&acme, Method::GET, "/tenants/acme")
        .await?
        .success(200)?;
    assert_eq!((&own["documents"], &own["chunks"]), (&json!(1), &json!(1)));
    assert!(own["bytes"].as_u64() > Some(768), "{own}");
    for (method, path) in [
        (Method::GET, "/tenants/other"),
        (Method::GET, "/tenants/nobody"),
        (Method::GET, "/tenants"),
        (Method::DELETE, "/tenants/acme"),
    ] {
        ask(&acme, method, path).await?.problem(403, "forbidden")?;
    }
    let wrong = ask(&operator, Method::DELETE, "/tenants/a%20b").await?;
    assert_eq!(wrong.refused()?, ["id"]);

    // An import is held to the limit of its tenant, and counted for the key that asked for it.
    let limit = json!({ "max_documents": 2 });
    let limited = send(&app, &operator, Method::PUT, "/tenants/acme", limit).await?;
    limited.success(200)?;
    let source = queue.put("three.jsonl", lines("import", 3, 10)).await?;
    let import = async |bearer: &str| {
        let body = json!({ "source": source });
        let posted = send(&app, bearer, Method::POST, "/imports", body).await?;
        let accepted = posted.success(202)?;
        let path = format!("/imports/{}", accepted["id"].as_str().context("an id")?);
        eventually("the import ends", async || {
            let import = ask(bearer, Method::GET, &path).await?.success(200)?;
            let ended = import["state"] == "done" || import["state"] == "failed";
            Ok(ended.then_some(import))
        })
        .await
    };
    let failed = import(&acme).await?;
    assert_eq!(failed["state"], "failed", "{failed}");
    let why = "the tenant has 1 documents, 3 more would exceed its limit of 2";
    assert!(failed.to_string().contains(why), "{failed}");
    let done = import(&other).await?;
    assert_eq!(done["state"], "done", "{done}");
    let path = "/usage?tenant=other";
    let used = ask(&operator, Method::GET, path).await?.success(200)?["usage"][0].clone();
    assert_eq!(used["documents"], 4, "{used}");

    let begun = ask(&operator, Method::DELETE, "/tenants/acme").await?;
    assert!(begun.success(202)?["removal"]["requested_at"].is_string());
    let gone = eventually("the removal is finished", async || {
        let state = ask(&operator, Method::GET, "/tenants/acme")
            .await?
            .success(200)?;
        Ok(state["removal"]["finished_at"].is_string().then_some(state))
    })
    .await?;
    assert_eq!(gone["removal"]["documents"], 1, "{gone}");
    for count in ["documents", "chunks", "bytes"] {
        assert_eq!(gone[count], 0, "{gone}");
    }
    // `documents` has not seen the key yet, so it looks it up.
    let refused = ask(&acme, Method::GET, "/documents").await?;
    refused.problem(401, "unauthorized")?;
    assert!(refused.text.contains("revoked"), "{}", refused.text);

    // What records the removal is all that names the tenant.
    let sql = app.sql().await?;
    let tables = "SELECT c.relname::text FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE a.attname = 'tenant' AND c.relkind = 'r' AND c.relnamespace = 'rappel'::regnamespace ORDER BY 1";
    let mut left = Vec::new();
    for table in sql.texts(tables, &[]).await? {
        let rows = format!("SELECT count(*) FROM rappel.{table} WHERE tenant = 'acme'");
        if sql.number(&rows, &[]).await? > 0 {
            left.push(table);
        }
    }
    assert_eq!(left, ["audit", "keys", "tenant_removals", "usage"]);

    let (mut listed, mut path) = (Vec::new(), "/tenants?limit=1".to_owned());
    for last in [false, false, true] {
        let page = ask(&operator, Method::GET, &path).await?.success(200)?;
        for tenant in page["tenants"].as_array().context("tenants")? {
            listed.push((tenant["id"].clone(), tenant["documents"].clone()));
        }
        let cursor = page["next_cursor"].as_str();
        assert_eq!(cursor.is_none(), last, "{page}");
        path = format!("/tenants?limit=1&cursor={}", cursor.unwrap_or_default());
    }
    let expected = [("", 0), ("acme", 0), ("other", 4)];
    assert_eq!(
        listed,
        expected.map(|(id, documents)| (json!(id), json!(documents)))
    );
    Ok(())
}
