//! Issuers of JSON Web Tokens.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

use crate::endpoint::Endpoint;

/// An issuer that signs with this key.
///
/// # Errors
/// When no port is free.
pub async fn issuer_with(key: &EcdsaKeyPair) -> Result<Endpoint> {
    // An uncompressed point: 4, x, y.
    let point = key.public_key().as_ref();
    let coordinate = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let keys = json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one",
        "x": coordinate(&point[1..33]), "y": coordinate(&point[33..65]),
    }] });
    Endpoint::answering(move |asked| {
        // As Auth0 and Keycloak do, it says where its keys are.
        let answer = if asked.path == "/.well-known/openid-configuration" {
            json!({ "jwks_uri": format!("http://{}/keys", asked.headers["host"]) })
        } else {
            keys.clone()
        };
        Some((200, answer.to_string()))
    })
    .await
}

/// The claims of a good token of the issuer, but for these, which are an object; encoded.
///
/// # Errors
/// When these are no object.
pub fn claims_of(issuer: &Endpoint, claims: &Value) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut all = json!({
        "iss": issuer.url(), "sub": "ada", "aud": "rappel", "exp": now + 300,
        "scope": "openid rappel/read",
    });
    for (name, value) in claims.as_object().context("claims")? {
        all[name] = value.clone();
    }
    Ok(BASE64_URL_SAFE_NO_PAD.encode(all.to_string()))
}

/// A new key of an issuer.
///
/// # Errors
/// When there is no randomness.
pub fn new_key() -> Result<EcdsaKeyPair> {
    let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random)
        .ok()
        .and_then(|key| EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).ok());
    key.context("making a key")
}

/// A token with these claims, signed by the key.
///
/// # Errors
/// When there is no randomness.
pub fn signed_with(key: &EcdsaKeyPair, claims: &str) -> Result<String> {
    let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"one"}"#);
    let message = format!("{head}.{claims}");
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).ok();
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.context("signing")?);
    Ok(format!("{message}.{signature}"))
}
