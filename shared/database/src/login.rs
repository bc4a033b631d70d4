//! The login: from the settings, or from AWS.

use std::{fmt, sync::Arc, time::Duration};

use aws::secret::Secret;
use once_cell::sync::OnceCell;
use reqwest::Client;
use serde::Deserialize;
use telemetry::chain;
use tokio::time::timeout;

use super::{Cause, DatabaseError, token};
use crate::DatabaseConfig;

pub(super) const URL: &str = "DATABASE_URL";
const CREDENTIALS: &str = "DATABASE_CREDENTIALS";

/// The sources of the URL and the credentials.
#[derive(Debug)]
pub(super) struct LoginSource {
    url: Secret,
    credentials: Option<CredentialSource>,
    /// Built at the first request to AWS: it reads the system's root certificates.
    client: OnceCell<Client>,
}

/// The source of the credentials.
#[derive(Debug)]
enum CredentialSource {
    Secret(Secret),
    /// Each use signs a new IAM token.
    Iam,
}

/// The URL, and the credentials that replace its user and password. Comparing two logins detects a rotation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Login {
    pub(super) url: Arc<str>,
    credentials: Option<Arc<str>>,
}

/// The JSON of a secret that RDS or a Secrets Manager rotation keeps; other fields are ignored.
#[derive(Deserialize)]
pub(super) struct Credentials {
    pub(super) username: String,
    pub(super) password: String,
}

impl LoginSource {
    /// Reads the settings, without I/O.
    ///
    /// # Errors
    /// When a reference is invalid.
    pub(super) fn new(config: &DatabaseConfig) -> Result<Self, DatabaseError> {
        let parse = |variable, setting: &str| {
            Secret::parse(setting).map_err(|error| unusable(variable, &error))
        };
        Ok(Self {
            url: parse(URL, &config.url)?,
            credentials: match config.credentials.as_deref() {
                Some(token::IAM) => Some(CredentialSource::Iam),
                Some(credentials) => {
                    Some(CredentialSource::Secret(parse(CREDENTIALS, credentials)?))
                }
                None => None,
            },
            client: OnceCell::new(),
        })
    }

    /// The login, if the settings hold it.
    pub(super) fn given(&self) -> Option<Login> {
        Some(Login {
            url: self.url.given()?,
            credentials: match &self.credentials {
                Some(CredentialSource::Secret(credentials)) => Some(credentials.given()?),
                Some(CredentialSource::Iam) => return None,
                None => None,
            },
        })
    }

    /// Fetches the current login from AWS.
    ///
    /// # Errors
    /// [`Cause::Secret`] when AWS does not give it within `limit`.
    pub(super) async fn fetch(&self, limit: Duration) -> Result<Login, DatabaseError> {
        let client = self.client.get_or_try_init(|| {
            // As for the language model: an idle connection would not survive a freeze.
            let client = http_client::builder().pool_max_idle_per_host(0).build();
            client.map_err(|error| unfetched(URL, &chain(&error)))
        })?;
        let fetch = async |variable, secret: &Secret| {
            let fetched = secret.fetch(client).await;
            fetched.map_err(|error| unfetched(variable, &error))
        };
        let credentials = async {
            match &self.credentials {
                Some(CredentialSource::Secret(credentials)) => {
                    fetch(CREDENTIALS, credentials).await.map(Some)
                }
                Some(CredentialSource::Iam) | None => Ok(None),
            }
        };
        let both = async { tokio::try_join!(fetch(URL, &self.url), credentials) };
        let (url, mut credentials) = timeout(limit, both).await.unwrap_or_else(|_| {
            let late = format!("AWS did not respond within {} ms", limit.as_millis());
            Err(unfetched(URL, &late))
        })?;
        if let Some(CredentialSource::Iam) = self.credentials {
            let token = token::credentials(&url).map_err(|why| unfetched(CREDENTIALS, &why))?;
            credentials = Some(token.into());
        }
        Ok(Login { url, credentials })
    }
}

impl Login {
    /// The user and the password that replace the URL's, if any.
    ///
    /// # Errors
    /// [`Cause::Settings`] when they are not in the RDS format.
    pub(super) fn credentials(&self) -> Result<Option<Credentials>, DatabaseError> {
        let Some(text) = &self.credentials else {
            return Ok(None);
        };
        // serde_json's message may quote the password.
        let credentials = serde_json::from_str(text).map_err(|_| {
            let expected = "it is not a JSON object with the strings `username` and `password`";
            unusable(CREDENTIALS, &expected)
        })?;
        Ok(Some(credentials))
    }
}

/// Not derived: it holds a password.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

/// An error in the value of `variable`; a retry does not help.
pub(super) fn unusable(variable: &str, what: &dyn fmt::Display) -> DatabaseError {
    DatabaseError::Unavailable {
        cause: Cause::Settings,
        detail: format!("{variable}: {what}"),
    }
}

fn unfetched(variable: &str, why: &dyn fmt::Display) -> DatabaseError {
    DatabaseError::Unavailable {
        cause: Cause::Secret,
        detail: format!("{variable}: {why}"),
    }
}
