//! Tokens of an issuer, as the REST API of `/chat` has them looked at.

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use tests::{
    App,
    endpoint::Endpoint,
    issuer::{claims_of, issuer_with, new_key, signed_with},
};

use crate::Outcome;

const METHOD: &str = "arn:aws:execute-api:eu-west-3:123456789012:a1b2c3d4e5/live/POST/chat";

/// An issuer with one key, and the product that trusts it.
struct Login {
    key: EcdsaKeyPair,
    issuer: Endpoint,
    app: App,
}

impl Login {
    async fn open() -> Result<Self> {
        let key = new_key()?;
        let issuer = issuer_with(&key).await?;
        let settings = [
            ("JWT_ISSUER", issuer.url()),
            ("JWT_AUDIENCE", "rappel,another".to_owned()),
            ("JWT_SCOPE", "rappel/read".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        let (app, ()) = App::through(async |_| Ok(((), settings))).await?;
        Ok(Self { key, issuer, app })
    }

    /// The claims of a good token, but for these.
    fn claims(&self, claims: &Value) -> Result<String> {
        claims_of(&self.issuer, claims)
    }

    /// A good token, but for these claims.
    fn token(&self, claims: &Value) -> Result<String> {
        signed_with(&self.key, &self.claims(claims)?)
    }

    /// What API Gateway is told of a header `Authorization`.
    async fn ask(&self, header: &str) -> Result<Value> {
        let event = json!({ "type": "TOKEN", "authorizationToken": header, "methodArn": METHOD });
        self.app.invoke("authorizer", event).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_passes_for_its_one_request() -> Outcome {
    let login = Login::open().await?;
    let allowed = json!({
        "principalId": "ada",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [{ "Action": "execute-api:Invoke", "Effect": "Allow", "Resource": METHOD }],
        },
    });
    for claims in [
        json!({}),
        json!({ "aud": ["x", "another"] }),
        // Cognito's, Entra's and Okta's ways to say the same.
        json!({ "aud": null, "client_id": "rappel" }),
        json!({ "scope": [], "scp": "rappel/read" }),
        json!({ "scope": [], "scp": ["x", "rappel/read"] }),
    ] {
        let token = login.token(&claims)?;
        assert_eq!(
            login.ask(&format!("Bearer {token}")).await?,
            allowed,
            "{claims}"
        );
    }
    // Once for where the keys are, once for them.
    assert_eq!(login.issuer.asked().len(), 2);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_the_scope_is_forbidden() -> Outcome {
    let login = Login::open().await?;
    for scope in ["", "openid", "rappel/reader"] {
        let token = login.token(&json!({ "scope": scope }))?;
        let answer = login.ask(&format!("Bearer {token}")).await?;
        assert_eq!(
            answer["policyDocument"]["Statement"][0]["Effect"], "Deny",
            "{scope}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_is_wrong_with_a_token_is_unauthorized() -> Outcome {
    let login = Login::open().await?;
    let good = login.token(&json!({}))?;
    let claims = login.claims(&json!({ "sub": "eve" }))?;
    let (head, signature) = (
        good.split('.').next().context("a head")?,
        good.rsplit('.').next().context("a signature")?,
    );
    let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"one"}"#);
    // The public key, which everybody has, as the secret of an HMAC.
    let symmetric = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"one"}"#);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, login.key.public_key().as_ref());
    let tag = hmac::sign(&secret, format!("{symmetric}.{claims}").as_bytes());
    let confused = BASE64_URL_SAFE_NO_PAD.encode(tag.as_ref());
    for token in [
        login.token(&json!({ "exp": 1 }))?,
        login.token(&json!({ "exp": null }))?,
        login.token(&json!({ "nbf": u32::MAX }))?,
        login.token(&json!({ "iss": "https://elsewhere.example" }))?,
        login.token(&json!({ "aud": "elsewhere" }))?,
        login.token(&json!({ "aud": [] }))?,
        login.token(&json!({ "aud": "elsewhere rappel" }))?,
        // The client that asked for it is known; whom it is for is somebody else.
        login.token(&json!({ "aud": "elsewhere", "client_id": "rappel" }))?,
        login.token(&json!({ "aud": ["elsewhere"], "client_id": "rappel" }))?,
        login.token(&json!({ "aud": [], "client_id": "rappel" }))?,
        signed_with(&new_key()?, &claims)?,
        format!("{head}.{claims}.{signature}"),
        format!("{unsigned}.{claims}."),
        format!("{symmetric}.{claims}.{confused}"),
        "nonsense".to_owned(),
        String::new(),
    ] {
        let refusal = login.ask(&format!("Bearer {token}")).await.err();
        let refusal = refusal.with_context(|| format!("{token} passes"))?;
        // API Gateway answers 401 to this word alone.
        let refusal = format!("{refusal:#}");
        assert!(refusal.contains("Unauthorized"), "{token}: {refusal}");
    }
    Ok(())
}
