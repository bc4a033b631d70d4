//! Tokens of an issuer, verified by the functions where no gateway does it.

use anyhow::Result;
use reqwest::Method;
use ring::signature::EcdsaKeyPair;
use serde_json::{Value, json};
use tests::{
    App,
    endpoint::Endpoint,
    issuer::{claims_of, issuer_with, new_key, signed_with},
};

use super::{app, found, key, send, store};
use crate::Outcome;

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
