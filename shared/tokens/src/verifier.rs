//! The checks that API Gateway's own JWT authorizers make:
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-jwt-authorizer.html>.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use settings::ConfigError;

use crate::{
    claims::Claims,
    error::{MAX_BYTES, TokenError},
    issuer::Issuer,
    key::Key,
};

/// Verifies the tokens of one issuer for some audiences.
#[derive(Debug)]
pub struct Verifier {
    /// The issuer, as tokens write it.
    name: String,
    audience: Vec<String>,
    issuer: Issuer,
}

/// Why a verifier cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The HTTP client cannot be built.
    #[error("the HTTP client of the issuer cannot be built")]
    Client(#[from] reqwest::Error),
}

#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    /// Extensions that have to be understood; none is.
    crit: Option<Value>,
}

impl Verifier {
    /// The most that the issuer's clock and this one may differ.
    pub const LEEWAY: Duration = Duration::from_mins(1);

    /// Reads `JWT_ISSUER` and `JWT_AUDIENCE` (separated by commas). Fetches nothing yet.
    ///
    /// # Errors
    /// Names the first variable that is missing or wrong.
    pub fn from_env() -> Result<Self, StartError> {
        const ISSUER: &str = "JWT_ISSUER";
        const AUDIENCE: &str = "JWT_AUDIENCE";
        let name = settings::required(ISSUER, "it says whose tokens to accept")?;
        if !is_safe(&name) {
            return Err(ConfigError::Invalid {
                variable: ISSUER,
                value: name,
                expected: "must be an https URL",
            }
            .into());
        }
        let audience = settings::required(AUDIENCE, "it says which tokens to accept")?;
        let audience = audience.split(',').map(|one| one.trim().to_owned());
        Ok(Self {
            issuer: Issuer::new(&name)?,
            name,
            audience: audience.filter(|one| !one.is_empty()).collect(),
        })
    }

    /// Verifies a token.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] with the reason, or the issuer's keys cannot be fetched.
    pub async fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::TOO_LONG);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::MALFORMED)?;
        let (head, claims) = message.split_once('.').ok_or(TokenError::MALFORMED)?;
        let head = decoded(head)?;
        let head: Head = serde_json::from_slice(&head).map_err(|_| TokenError::MALFORMED)?;
        if head.crit.is_some() {
            return Err(TokenError::Invalid("it needs an extension"));
        }
        let signature = decoded(signature)?;
        let kid = head.kid.as_deref();
        let has_signed = |keys: &[Key]| {
            let mut keys = keys.iter();
            keys.any(|key| key.has_signed(&head.alg, message.as_bytes(), &signature))
        };
        let mut keys = self.issuer.keys(kid).await?;
        let mut signed = has_signed(&keys);
        if !signed && !keys.iter().any(|key| key.is_named(kid)) {
            keys = self.issuer.newer_keys(kid).await?;
            signed = has_signed(&keys);
        }
        if keys.is_empty() {
            return Err(TokenError::Invalid("the issuer has no key with its kid"));
        }
        if !signed {
            return Err(TokenError::Invalid("its signature is not the issuer's"));
        }
        self.accept(Claims::decode(claims)?)
    }

    fn accept(&self, claims: Claims) -> Result<Claims, TokenError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.unwrap_or(Duration::MAX).as_secs_f64();
        let leeway = Self::LEEWAY.as_secs_f64();
        if claims.get("iss").and_then(Value::as_str) != Some(&self.name) {
            return Err(TokenError::Invalid("it is another issuer's"));
        }
        if claims.number("exp").is_none_or(|end| end + leeway <= now) {
            return Err(TokenError::Invalid("it has expired"));
        }
        let begin = claims
            .get("nbf")
            .map_or(Some(0.0), |_| claims.number("nbf"));
        if begin.is_none_or(|begin| begin > now + leeway) {
            return Err(TokenError::Invalid("it is not valid yet"));
        }
        if !self.is_audience(&claims) {
            return Err(TokenError::Invalid("it is for another audience"));
        }
        Ok(claims)
    }

    /// Whether a token is for one of the audiences. Cognito's access tokens have `client_id` instead of `aud`; beside an `aud`, it
    /// names who asked for a token that is for somebody else.
    fn is_audience(&self, claims: &Claims) -> bool {
        let is_known = |one: &Value| {
            let one = one.as_str();
            self.audience
                .iter()
                .any(|known| one == Some(known.as_str()))
        };
        match claims.get("aud").or_else(|| claims.get("client_id")) {
            Some(Value::Array(several)) => several.iter().any(is_known),
            Some(one) => is_known(one),
            None => false,
        }
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, TokenError> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(part);
    decoded.map_err(|_| TokenError::MALFORMED)
}

/// Whether nobody on the way can replace the keys: https, or plain HTTP to this machine.
fn is_safe(url: &str) -> bool {
    url.parse::<Url>().is_ok_and(|url| {
        let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        url.scheme() == "https" || (url.scheme() == "http" && local)
    })
}
