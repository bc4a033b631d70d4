//! API keys, from the command that makes one to its revocation.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    App, Sql,
    command::{Printed, rappel},
    eventually,
    proxy::{Proxy, with_port},
};

use super::{app, created, found, key, send, store};
use crate::Outcome;

const KEYS: [(&str, &str); 1] = [("AUTHORIZATION", "keys")];
const ALL: [&str; 2] = ["--scope", "search,chat,write,admin"];

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_routes_of_its_scopes_and_no_others() -> Outcome {
    let app = app(&KEYS).await?;
    let refused = app.post("/search", json!({ "query": "crêpes" })).await?;
    refused.problem(401, "unauthorized")?;
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    // A monitor has no key; a whole search is nobody's without one.
    app.get("/health", &[]).await?.success(200)?;
    app.get("/health", &[("deep", "true")])
        .await?
        .problem(401, "unauthorized")?;

    let reader = key(&app, &["--scope", "search"]).await?;
    let writer = key(&app, &["--scope", "write"]).await?;
    store(&app, &writer, "a", json!({})).await?;
    assert_eq!(found(&app, &reader).await?, ["a"]);
    for (bearer, method, path, scope) in [
        (&reader, Method::DELETE, "/documents/a", "write"),
        (&reader, Method::POST, "/documents", "write"),
        (&reader, Method::POST, "/chat", "chat"),
        (&reader, Method::GET, "/keys", "admin"),
        (&writer, Method::GET, "/documents/a", "search"),
        (&writer, Method::POST, "/mcp", "search"),
    ] {
        let answer = send(&app, bearer, method, path, json!({})).await?;
        answer.problem(403, "forbidden")?;
        assert!(
            answer
                .text
                .contains(&format!("the scope {scope} is required")),
            "{path}: {}",
            answer.text
        );
        let how = answer.header("www-authenticate").context("how")?;
        assert!(how.contains(&format!("scope=\"{scope}\"")), "{how}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_tenant_or_with_a_filter_sees_its_own_documents() -> Outcome {
    let app = app(&KEYS).await?;
    let operator = key(&app, &ALL).await?;
    let acme = key(&app, &["--scope", "search,write,admin", "--tenant", "acme"]).await?;
    let other = key(&app, &["--scope", "search,write", "--tenant", "other"]).await?;
    store(&app, &acme, "plan", json!({ "group": "a" })).await?;
    store(&app, &other, "plan", json!({})).await?;
    store(&app, &other, "note", json!({})).await?;
    assert_eq!(found(&app, &acme).await?, ["plan"]);
    assert_eq!(found(&app, &other).await?, ["note", "plan"]);
    let absent = send(&app, &acme, Method::GET, "/documents/note", json!(null)).await?;
    absent.problem(404, "not-found")?;

    let filtered = [
        "--scope",
        "search,write,admin",
        "--tenant",
        "acme",
        "--filter",
        r#"{"group": "b"}"#,
    ];
    let filtered = key(&app, &filtered).await?;
    assert_eq!(found(&app, &filtered).await?, [""; 0]);
    let keys = send(&app, &filtered, Method::GET, "/keys", json!(null)).await?;
    keys.problem(403, "forbidden")?;
    // Documents of followed tables are not compared with a filter.
    for (method, path) in [
        (Method::GET, "/sources"),
        (Method::GET, "/sources/users"),
        (Method::PUT, "/sources/users"),
        (Method::DELETE, "/sources/users"),
        (Method::POST, "/sources/users/resync"),
    ] {
        let sources = send(&app, &filtered, method, path, json!({})).await?;
        sources.problem(403, "forbidden")?;
        assert!(
            sources.text.contains("forced filter"),
            "{path}: {}",
            sources.text
        );
    }

    // The operator acts for a tenant; a tenant for no other.
    for (bearer, status) in [(&operator, 200), (&acme, 403)] {
        let bearer = format!("Bearer {bearer}");
        let headers = [
            ("authorization", bearer.as_str()),
            ("rappel-tenant", "other"),
        ];
        let answer = app
            .request(Method::GET, "/documents/note", &headers, Vec::new())
            .await?;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
    // So do the commands, on the database and through the API.
    let run = async |arguments: &[&str]| {
        Printed::by(&mut rappel(Some(app.database_url()), arguments).await?).await
    };
    let search = ["search", "des crêpes", "--json", "--tenant"];
    let url = app.url();
    let at_api = ["--api", url.as_str(), "--key", operator.as_str()];
    for (tenant, hits) in [("other", 2), ("acme", 1), ("nobody", 0)] {
        for place in [&at_api[..], &[]] {
            let printed = run(&[&search[..], &[tenant], place].concat())
                .await?
                .json()?;
            let found = printed["hits"].as_array().map(Vec::len);
            assert_eq!(found, Some(hits), "{tenant} {place:?}");
        }
    }
    let listed = run(&["keys", "list", "--json", "--tenant", "other"])
        .await?
        .json()?;
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(1), "{listed}");
    let wrong = run(&[&search[..], &["a b"]].concat()).await?;
    assert!(
        !wrong.success && wrong.stderr.contains("--tenant"),
        "{wrong:?}"
    );

    let table = json!({ "table": "public.users", "content": "name" });
    let follows = send(&app, &acme, Method::PUT, "/sources/users", table).await?;
    follows.problem(403, "forbidden")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_made_listed_and_revoked_by_their_administrators() -> Outcome {
    let app = app(&KEYS).await?;
    let acme = key(
        &app,
        &["--scope", "admin", "--tenant", "acme", "--expires", "90d"],
    )
    .await?;
    let new = json!({ "name": "web", "scopes": ["search"], "expires_in": 3600 });
    let made = send(&app, &acme, Method::POST, "/keys", new)
        .await?
        .success(201)?;
    assert_eq!(made["tenant"], "acme");
    let text = made["key"].as_str().context("a key")?;
    let foreign = json!({ "name": "web", "scopes": ["search"], "tenant": "other" });
    let foreign = send(&app, &acme, Method::POST, "/keys", foreign).await?;
    assert_eq!(foreign.refused()?, ["tenant"]);
    created(&app, &["--scope", "search", "--tenant", "other"]).await?;
    let listed = send(&app, &acme, Method::GET, "/keys", Value::Null)
        .await?
        .success(200)?;
    let names: Vec<&Value> = listed["keys"]
        .as_array()
        .context("keys")?
        .iter()
        .map(|key| &key["name"])
        .collect();
    assert_eq!(names, ["web", "story"]);
    assert!(!listed.to_string().contains(text), "a key is shown once");

    // `documents` has not seen the key yet, so it knows at once; `search` knows it for a minute.
    assert_eq!(found(&app, text).await?, [""; 0]);
    let id = made["id"].as_str().context("an id")?;
    send(
        &app,
        &acme,
        Method::DELETE,
        &format!("/keys/{id}"),
        Value::Null,
    )
    .await?
    .success(204)?;
    let revoked = send(&app, text, Method::GET, "/documents", Value::Null).await?;
    revoked.problem(401, "unauthorized")?;
    assert!(revoked.text.contains("revoked"), "{}", revoked.text);
    let missing = send(&app, &acme, Method::DELETE, "/keys/key_none", Value::Null).await?;
    missing.problem(404, "not-found")?;

    let sql = app.sql().await?;
    let audit = sql
        .texts(
            "SELECT act || ' ' || tenant FROM rappel.audit WHERE act LIKE 'key.%' ORDER BY id",
            &[],
        )
        .await?;
    assert_eq!(
        audit,
        [
            "key.create acme",
            "key.create acme",
            "key.create other",
            "key.revoke acme"
        ]
    );
    for change in [
        "UPDATE rappel.audit SET actor = ''",
        "DELETE FROM rappel.audit",
        "TRUNCATE rappel.audit",
    ] {
        assert!(sql.run(change).await.is_err(), "{change}");
    }
    let stored =
        "SELECT count(*) FROM rappel.keys AS k WHERE to_jsonb(k)::text LIKE '%' || $1 || '%'";
    assert_eq!(
        sql.number(stored, &[&text]).await?,
        0,
        "only a hash is stored"
    );
    let used = "SELECT count(*) FROM rappel.keys WHERE last_used_at = date_trunc('hour', last_used_at) AND id = $1";
    eventually("the hour of the last use", async || {
        Ok((sql.number(used, &[&id]).await? == 1).then_some(()))
    })
    .await?;

    // The command works through the API, too.
    let mut list = rappel(
        None,
        &[
            "keys",
            "list",
            "--json",
            "--api",
            &app.url(),
            "--key",
            &acme,
        ],
    )
    .await?;
    let listed = Printed::by(&mut list).await?.json()?;
    assert_eq!(listed["keys"].as_array().map(Vec::len), Some(2), "{listed}");
    Ok(())
}

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
