//! The issuer's signing keys, discovered through its `OpenID` configuration and cached.

use std::time::{Duration, SystemTime};

use reqwest::{Client, Url, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{elapsed::is_within, key::Key};

/// The issuer's URL and its cached keys.
#[derive(Debug)]
pub(crate) struct Issuer {
    configuration: String,
    client: Client,
    kept: Mutex<Kept>,
}

/// The keys cannot be fetched.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the keys of the issuer cannot be fetched from {url}: {cause}")]
pub struct IssuerError {
    url: String,
    cause: String,
}

/// Ages are those of the wall clock: the monotonic one stops while Lambda has frozen the sandbox.
#[derive(Debug, Default)]
struct Kept {
    keys: Vec<Key>,
    fetched: Option<SystemTime>,
    tried: Option<SystemTime>,
    failure: Option<IssuerError>,
}

#[derive(Deserialize)]
struct Configuration {
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Value>,
}

/// A withdrawn key is accepted for at most this long.
const LONGEST_KEPT: Duration = Duration::from_mins(15);

/// The same while the issuer does not answer.
const LONGEST_STALE: Duration = Duration::from_hours(1);

/// The issuer is asked at most this often, whatever tokens arrive.
const SHORTEST_KEPT: Duration = Duration::from_secs(10);

/// API Gateway waits for an authorizer for 10 s.
const TIME_LIMIT: Duration = Duration::from_secs(4);

/// Bytes of the largest answer. Sets of keys have a few kilobytes.
const ANSWER_LIMIT: usize = 256 * 1024;

/// The most keys that are read of a set.
const MAX_KEYS: usize = 100;

impl Issuer {
    /// Fetches nothing yet.
    pub(crate) fn new(issuer: &str) -> Result<Self, reqwest::Error> {
        let issuer = issuer.trim_end_matches('/');
        let client = http_client::builder()
            .timeout(TIME_LIMIT)
            .redirect(redirect::Policy::none());
        Ok(Self {
            configuration: format!("{issuer}/.well-known/openid-configuration"),
            client: client.build()?,
            kept: Mutex::default(),
        })
    }

    /// The issuer's keys for a token that names `kid`: with this id or without any; all of them for a token that names none.
    pub(crate) async fn keys(&self, kid: Option<&str>) -> Result<Vec<Key>, IssuerError> {
        self.keys_after(LONGEST_KEPT, kid).await
    }

    /// The same if none of these has signed the token: the keys may have changed, which no unknown id tells.
    pub(crate) async fn newer_keys(&self, kid: Option<&str>) -> Result<Vec<Key>, IssuerError> {
        self.keys_after(Duration::ZERO, kid).await
    }

    /// The same, fetched if they were fetched longer ago than `limit`, or if there is none.
    async fn keys_after(
        &self,
        limit: Duration,
        kid: Option<&str>,
    ) -> Result<Vec<Key>, IssuerError> {
        let mut kept = self.kept.lock().await;
        let found = kept.named(kid);
        if !found.is_empty() && kept.is_fetched_within(limit) {
            return Ok(found);
        }
        let usable = !found.is_empty() && kept.is_fetched_within(LONGEST_STALE);
        if kept
            .tried
            .is_some_and(|time| is_within(time, SHORTEST_KEPT))
        {
            return match &kept.failure {
                Some(failure) if !usable => Err(failure.clone()),
                _ => Ok(found),
            };
        }
        kept.tried = Some(SystemTime::now());
        match self.fetch_keys().await {
            Ok(keys) => {
                kept.keys = keys;
                kept.fetched = kept.tried;
                kept.failure = None;
                Ok(kept.named(kid))
            }
            Err(failure) => {
                kept.failure = Some(failure.clone());
                if usable {
                    tracing::warn!(%failure, "keys fetched before are used meanwhile");
                    return Ok(found);
                }
                Err(failure)
            }
        }
    }

    async fn fetch_keys(&self) -> Result<Vec<Key>, IssuerError> {
        let configuration: Configuration = self.fetch(&self.configuration).await?;
        let scheme = |url: &str| url.parse::<Url>().ok().map(|url| url.scheme().to_owned());
        let is_safe = |uri: &str| scheme(uri) == scheme(&self.configuration);
        if !is_safe(&configuration.jwks_uri) {
            return Err(IssuerError {
                url: self.configuration.clone(),
                cause: "its jwks_uri is not a URL of the issuer's scheme".to_owned(),
            });
        }
        let Keys { keys } = self.fetch(&configuration.jwks_uri).await?;
        // Keys for other purposes, or of other kinds, do not make the set unusable.
        let known = keys.into_iter().take(MAX_KEYS);
        Ok(known
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect())
    }

    async fn fetch<T: DeserializeOwned>(&self, url: &str) -> Result<T, IssuerError> {
        let failed = |cause: String| IssuerError {
            url: url.to_owned(),
            cause,
        };
        let broken = |error: reqwest::Error| failed(error.without_url().to_string());
        let response = self.client.get(url).send().await.map_err(broken)?;
        let mut response = response.error_for_status().map_err(broken)?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LIMIT {
                return Err(failed(format!("it has more than {ANSWER_LIMIT} bytes")));
            }
        }
        serde_json::from_slice(&body).map_err(|error| failed(error.to_string()))
    }
}

impl Kept {
    fn is_fetched_within(&self, limit: Duration) -> bool {
        self.fetched.is_some_and(|time| is_within(time, limit))
    }

    fn named(&self, kid: Option<&str>) -> Vec<Key> {
        let named = self.keys.iter().filter(|key| key.may_be(kid));
        named.cloned().collect()
    }
}
