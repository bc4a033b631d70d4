//! The issuer's signing keys, discovered through its `OpenID` configuration and cached.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::key::Key;

/// The issuer's URL and its cached keys.
pub(crate) struct Issuer {
    configuration: String,
    client: Client,
    kept: Mutex<Option<Kept>>,
}

/// The keys cannot be fetched.
#[derive(Debug, thiserror::Error)]
#[error("the keys of the issuer cannot be fetched from {url}: {cause}")]
pub(crate) struct IssuerError {
    url: String,
    cause: reqwest::Error,
}

struct Kept {
    keys: Vec<Key>,
    fetched: Instant,
}

#[derive(Deserialize)]
struct Configuration {
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

/// A withdrawn key is accepted for at most this long.
const LONGEST_KEPT: Duration = Duration::from_mins(15);

/// Tokens with an unknown key id trigger a fetch at most this often.
const SHORTEST_KEPT: Duration = Duration::from_secs(10);

/// API Gateway waits for 10 s.
const TIME_LIMIT: Duration = Duration::from_secs(4);

impl Issuer {
    /// Fetches nothing yet.
    pub(crate) fn new(issuer: &str) -> Result<Self, reqwest::Error> {
        let issuer = issuer.trim_end_matches('/');
        Ok(Self {
            configuration: format!("{issuer}/.well-known/openid-configuration"),
            client: http_client::builder().timeout(TIME_LIMIT).build()?,
            kept: Mutex::new(None),
        })
    }

    /// The issuer's key with this id, if it has one.
    pub(crate) async fn key(&self, kid: &str) -> Result<Option<Key>, IssuerError> {
        let of = |keys: &[Key]| keys.iter().find(|key| key.kid == kid).cloned();
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept {
            let (key, age) = (of(&kept.keys), kept.fetched.elapsed());
            if age < SHORTEST_KEPT || (key.is_some() && age < LONGEST_KEPT) {
                return Ok(key);
            }
        }
        let configuration: Configuration = self.fetch(&self.configuration).await?;
        let Keys { keys } = self.fetch(&configuration.jwks_uri).await?;
        let key = of(&keys);
        *kept = Some(Kept {
            keys,
            fetched: Instant::now(),
        });
        Ok(key)
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        let answer = async {
            let response = self.client.get(url).send().await?;
            response.error_for_status()?.json().await
        };
        answer.await.map_err(|cause: reqwest::Error| IssuerError {
            url: url.to_owned(),
            cause: cause.without_url(),
        })
    }
}
