//! API keys, from the command that makes one to its revocation.

use anyhow::Context as _;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{
    command::{Printed, rappel},
    eventually,
};

use super::{app, created, found, key, send, store};
use crate::Outcome;

pub(super) const KEYS: [(&str, &str); 1] = [("AUTHORIZATION", "keys")];
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
