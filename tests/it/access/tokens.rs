//! Tokens of an issuer, verified by the functions where no gateway does it.

use anyhow::Result;
use reqwest::Method;
use ring::signature::EcdsaKeyPair;
use serde_json::{Value, json};
use tests::{
    App, Pace,
    endpoint::Endpoint,
    eventually,
    issuer::{claims_of, issuer_with, new_key, signed_with},
};

use super::{app, found, key, send, store};
use crate::{Outcome, imports::lines};

/// An issuer with one key, and the product that trusts it.
struct Login {
    key: EcdsaKeyPair,
    issuer: Endpoint,
    app: App,
}

impl Login {
    async fn open(settings: &[(&str, &str)]) -> Result<Self> {
        let key = new_key()?;
        let issuer = issuer_with(&key).await?;
        let url = issuer.url();
        let own = [("JWT_ISSUER", url.as_str()), ("JWT_AUDIENCE", "rappel")];
        let app = app(&[own.as_slice(), settings].concat()).await?;
        Ok(Self { key, issuer, app })
    }

    /// A good token, but for these claims.
    fn token(&self, claims: &Value) -> Result<String> {
        signed_with(&self.key, &claims_of(&self.issuer, claims)?)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_decide_what_a_token_may_do_and_see() -> Outcome {
    let login = Login::open(&[
        ("AUTHORIZATION", "jwt+keys"),
        ("JWT_TENANT_CLAIM", "org.id"),
        ("JWT_FILTER", r#"{"groups": {"$in": "$claims.groups"}}"#),
        ("JWT_SCOPE_CLAIM", "scope,roles"),
    ])
    .await?;
    let app = &login.app;
    let of = |groups: Value, scope: &str| {
        login.token(&json!({ "org": { "id": "acme" }, "groups": groups, "roles": [scope] }))
    };
    let writer = key(app, &["--scope", "write", "--tenant", "acme"]).await?;
    store(app, &writer, "red", json!({ "groups": ["red"] })).await?;
    store(app, &writer, "blue", json!({ "groups": ["blue"] })).await?;
    assert_eq!(found(app, &of(json!(["red"]), "x")?).await?, ["red"]);
    assert_eq!(found(app, &of(json!("blue"), "x")?).await?, ["blue"]);
    for nothing in [json!(null), json!([]), json!({ "$exists": true })] {
        assert_eq!(found(app, &of(nothing, "x")?).await?, [""; 0]);
    }
    // Of another group, as if it were not there.
    let red = of(json!(["red"]), "rappel/write")?;
    let other = send(app, &red, Method::DELETE, "/documents/blue", json!(null)).await?;
    other.problem(404, "not-found")?;
    let reader = of(json!(["red"]), "x")?;
    let refused = send(app, &reader, Method::DELETE, "/documents/red", json!(null)).await?;
    refused.problem(403, "forbidden")?;

    let nobodys = login.token(&json!({ "groups": ["red"] }))?;
    let refused = send(
        app,
        &nobodys,
        Method::POST,
        "/search",
        json!({ "query": "x" }),
    )
    .await?;
    refused.problem(403, "forbidden")?;
    assert!(refused.text.contains("org.id"), "{}", refused.text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_good_is_unauthorized() -> Outcome {
    let login = Login::open(&[("AUTHORIZATION", "jwt")]).await?;
    let app = &login.app;
    found(app, &login.token(&json!({}))?).await?;
    let claims = claims_of(&login.issuer, &json!({}))?;
    for token in [
        login.token(&json!({ "exp": 1 }))?,
        login.token(&json!({ "aud": "elsewhere" }))?,
        login.token(&json!({ "padding": "x".repeat(9_000) }))?,
        signed_with(&new_key()?, &claims)?,
        "nonsense".to_owned(),
        key(app, &["--scope", "search"]).await?,
    ] {
        let answer = send(
            app,
            &token,
            Method::POST,
            "/search",
            json!({ "query": "x" }),
        )
        .await?;
        answer.problem(401, "unauthorized")?;
    }
    // Once for where the keys are, once for them.
    assert_eq!(login.issuer.asked().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_by_a_token_is_counted() -> Outcome {
    let key = new_key()?;
    let issuer = issuer_with(&key).await?;
    let settings = [
        ("AUTHORIZATION", "jwt".to_owned()),
        ("JWT_ISSUER", issuer.url()),
        ("JWT_AUDIENCE", "rappel".to_owned()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value));
    let (app, queue) = App::with_imports_and(Pace::default(), settings.to_vec()).await?;
    let claims = claims_of(&issuer, &json!({ "scope": "rappel/write rappel/admin" }))?;
    let token = signed_with(&key, &claims)?;
    let source = queue.put("two.jsonl", lines("page", 2, 10)).await?;
    let body = json!({ "source": source });
    let accepted = send(&app, &token, Method::POST, "/imports", body).await?;
    accepted.success(202)?;
    let used = eventually("the import is counted", async || {
        let usage = send(&app, &token, Method::GET, "/usage", Value::Null).await?;
        let usage = usage.success(200)?;
        let row = usage["usage"].get(0).cloned();
        Ok(row.filter(|row| row["documents"] == 2))
    })
    .await?;
    assert_eq!((&used["tenant"], &used["key"]), (&json!(""), &json!("")));
    assert!(used["embedded_tokens"].as_i64() > Some(10), "{used}");
    Ok(())
}
