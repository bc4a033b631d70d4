//! The keys of the issuer, fetched from where its `OpenID` configuration says and kept.

use std::time::{Duration, Instant};

use reqwest::Client;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;

use crate::key::Key;

/// Where its keys are, and those that were last fetched.
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

/// A key that the issuer has withdrawn is good for so long.
const LONGEST_KEPT: Duration = Duration::from_mins(15);

/// Tokens with a key that is not known have the keys fetched no more often than this.
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

    /// The key with this id, if the issuer has it.
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
