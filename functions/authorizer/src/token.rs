//! The checks that API Gateway's own JWT authorizers make:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>.

use std::{
    env, slice,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, de::DeserializeOwned};

use crate::issuer::{Issuer, IssuerError};

/// The tokens to accept.
pub(crate) struct Rules {
    /// The issuer, as tokens write it.
    pub(crate) issuer: String,
    audience: Vec<String>,
    /// If empty, no scope is required.
    scope: String,
}

/// Why a token was rejected.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Another issuer or audience, or expired, or malformed.
    Invalid(&'static str),
    /// The token of this subject lacks the scope.
    Scope(String),
    /// The issuer's keys cannot be fetched.
    Issuer(IssuerError),
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    #[serde(default)]
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    #[serde(default)]
    sub: String,
    /// Seconds since 1970, like `nbf`.
    exp: f64,
    #[serde(default)]
    nbf: f64,
    #[serde(default)]
    aud: Texts,
    /// Cognito's access tokens have this instead of `aud`.
    client_id: Option<String>,
    #[serde(default)]
    scope: Texts,
    #[serde(default)]
    scp: Texts,
}

/// One string or several: issuers differ.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

impl Rules {
    /// Reads `JWT_ISSUER`, `JWT_AUDIENCE` (separated by commas) and `JWT_SCOPE`.
    ///
    /// # Errors
    /// Names the first variable that is missing.
    pub(crate) fn from_env() -> Result<Self, String> {
        let required = |name: &str| {
            let value = env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("{name} is not set: it says which tokens to accept"))
        };
        let audience = required("JWT_AUDIENCE")?;
        Ok(Self {
            issuer: required("JWT_ISSUER")?,
            audience: audience.split(',').map(str::to_owned).collect(),
            scope: env::var("JWT_SCOPE").unwrap_or_default(),
        })
    }

    /// Validates the token of an `Authorization` header and returns its subject.
    pub(crate) async fn check(&self, header: &str, issuer: &Issuer) -> Result<String, Refusal> {
        let token = match header.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => header,
        };
        let (message, signature) = token.rsplit_once('.').ok_or(NO_TOKEN)?;
        let (head, claims) = message.split_once('.').ok_or(NO_TOKEN)?;
        let head: Head = decoded(head)?;
        let key = issuer.key(&head.kid).await.map_err(Refusal::Issuer)?;
        let key = key.ok_or(Refusal::Invalid("the issuer has no key with this kid"))?;
        let signature = BASE64_URL_SAFE_NO_PAD
            .decode(signature)
            .map_err(|_| NO_TOKEN)?;
        if !key.has_signed(&head.alg, message.as_bytes(), &signature) {
            return Err(Refusal::Invalid("invalid signature"));
        }
        self.accept(decoded(claims)?)
    }

    fn accept(&self, claims: Claims) -> Result<String, Refusal> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or(Duration::MAX).as_secs_f64();
        if claims.iss != self.issuer {
            return Err(Refusal::Invalid("wrong issuer"));
        }
        if claims.exp <= now || claims.nbf > now {
            return Err(Refusal::Invalid("expired or not yet valid"));
        }
        let mut audience = claims.aud.words().chain(claims.client_id.as_deref());
        if !audience.any(|one| self.audience.iter().any(|known| known == one)) {
            return Err(Refusal::Invalid("wrong audience"));
        }
        let mut scopes = claims.scope.words().chain(claims.scp.words());
        if !self.scope.is_empty() && !scopes.any(|scope| scope == self.scope) {
            return Err(Refusal::Scope(claims.sub));
        }
        Ok(claims.sub)
    }
}

const NO_TOKEN: Refusal = Refusal::Invalid("malformed token");

/// A part of a token: JSON in base64.
fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| NO_TOKEN)?;
    serde_json::from_slice(&json).map_err(|_| NO_TOKEN)
}

impl Texts {
    fn words(&self) -> impl Iterator<Item = &str> {
        let texts = match self {
            Self::One(text) => slice::from_ref(text),
            Self::Many(texts) => texts,
        };
        texts.iter().flat_map(|text| text.split(' '))
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}
