//! What the check of a key costs the database, and needs there.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::json;
use tests::{
    App, Sql,
    proxy::{Proxy, with_port},
};

use super::{app, found, key, keys::KEYS, send};
use crate::Outcome;

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_cost_one_look_a_second() -> Outcome {
    let app = app(&KEYS).await?;
    let sql = app.sql().await?;
    let mut gone = Vec::new();
    for _ in 0..3 {
        gone.push(key(&app, &["--scope", "search"]).await?);
    }
    let good = key(&app, &["--scope", "search"]).await?;
    let unseen = key(&app, &["--scope", "search"]).await?;
    assert_eq!(found(&app, &good).await?, [""; 0]);
    let expired = key(&app, &["--scope", "search"]).await?;
    sql.run("UPDATE rappel.keys SET expires_at = now() - interval '1 second' WHERE id = (SELECT id FROM rappel.keys ORDER BY created_at DESC LIMIT 1)").await?;
    sql.run("DELETE FROM rappel.keys WHERE id IN (SELECT id FROM rappel.keys ORDER BY created_at LIMIT 3)").await?;
    let ask = async |bearer: &str| {
        send(
            &app,
            bearer,
            Method::POST,
            "/search",
            json!({ "query": "x" }),
        )
        .await
    };
    let answer = ask(&expired).await?;
    answer.problem(401, "unauthorized")?;
    assert!(answer.text.contains("expired"), "{}", answer.text);
    ask(&gone[0]).await?.problem(401, "unauthorized")?;
    // The first is known to be wrong; the others wait, but for keys that are known to be good.
    ask(&gone[0]).await?.problem(401, "unauthorized")?;
    let statuses = [ask(&gone[1]).await?.status, ask(&gone[2]).await?.status];
    assert!(statuses.contains(&429), "{statuses:?}");
    assert_eq!(ask(&good).await?.status, 200);
    // Nor does a flood of wrong keys keep out one that this sandbox has not seen.
    assert_eq!(ask(&unseen).await?.status, 200);
    // A typing error never reaches the database.
    let mistyped = format!("{}x", &good[..good.len() - 1]);
    ask(&mistyped).await?.problem(401, "unauthorized")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_search_with_a_key_is_one_round_trip() -> Outcome {
    let reach = async |url: &str| {
        let port = url
            .rsplit(':')
            .next()
            .and_then(|rest| rest.split('/').next());
        let proxy = Proxy::to(port.context("a port")?.parse()?).await?;
        let environment = vec![
            ("DATABASE_URL".to_owned(), with_port(url, proxy.port())?),
            // The proxy would pass for a pooler.
            ("DATABASE_POOLER".to_owned(), "direct".to_owned()),
            ("AUTHORIZATION".to_owned(), "keys".to_owned()),
        ];
        Ok((proxy, environment))
    };
    let (app, proxy) = App::through(reach).await?;
    app.invoke("migrate", json!({})).await?;
    let key = key(&app, &["--scope", "search"]).await?;
    for _ in 0..2 {
        found(&app, &key).await?;
    }
    // What is done after the second response has been done when the third arrives.
    found(&app, &key).await?;
    let before = proxy.turns();
    found(&app, &key).await?;
    assert_eq!(proxy.turns() - before, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_may_only_read_serves_keys() -> Outcome {
    let role = format!("key_reader_{}", std::process::id());
    let reach = async |url: &str| {
        let sql = Sql::connect(url).await?;
        sql.run(&format!("CREATE ROLE {role} LOGIN PASSWORD 'secret'"))
            .await?;
        let (scheme, rest) = url.split_once("://").context("a URL")?;
        let (_, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let environment = vec![
            (
                "DATABASE_URL".to_owned(),
                format!("{scheme}://{role}:secret@{place}"),
            ),
            ("MIGRATION_DATABASE_URL".to_owned(), url.to_owned()),
            ("AUTHORIZATION".to_owned(), "keys".to_owned()),
        ];
        Ok(((), environment))
    };
    let (app, ()) = App::through(reach).await?;
    app.invoke("migrate", json!({})).await?;
    let key = key(&app, &["--scope", "search"]).await?;
    let sql = app.sql().await?;
    sql.run(&format!(
        "REVOKE INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA rappel FROM {role}"
    ))
    .await?;
    for _ in 0..2 {
        assert_eq!(found(&app, &key).await?, [""; 0]);
    }
    sql.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}"))
        .await
}
