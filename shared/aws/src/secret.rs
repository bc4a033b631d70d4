//! Secret settings: the value itself, or a reference to AWS.

mod error;
mod fetch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reqwest::Client;

pub use self::error::SecretError;
use self::fetch::Reference;

/// A secret, fetched at first use and cached.
pub struct Secret {
    source: SecretSource,
    fetched: Mutex<Option<Arc<str>>>,
}

enum SecretSource {
    Value(Arc<str>),
    Aws(Reference),
}

impl Secret {
    /// Takes a value as it is, and an ARN as a reference: to a Secrets Manager secret, with an optional `#field` if
    /// it is JSON, or to a Systems Manager parameter.
    ///
    /// # Errors
    /// When an ARN is neither.
    pub fn parse(setting: &str) -> Result<Self, SecretError> {
        // Editors end files with a line break, which no key has.
        let setting = setting.trim();
        let source = if setting.starts_with("arn:") {
            SecretSource::Aws(Reference::parse(setting)?)
        } else {
            SecretSource::Value(setting.into())
        };
        Ok(Self {
            source,
            fetched: Mutex::new(None),
        })
    }

    /// The secret, if it was given as a value.
    #[must_use]
    pub fn given(&self) -> Option<Arc<str>> {
        match &self.source {
            SecretSource::Value(value) => Some(Arc::clone(value)),
            SecretSource::Aws(_) => None,
        }
    }

    /// The secret.
    ///
    /// # Errors
    /// When the fetch from AWS fails.
    pub async fn value(&self, client: &Client) -> Result<Arc<str>, SecretError> {
        if let Some(value) = &*self.lock() {
            return Ok(Arc::clone(value));
        }
        let value = self.fetch(client).await?;
        *self.lock() = Some(Arc::clone(&value));
        Ok(value)
    }

    /// The current secret, fetched even if it is cached.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub async fn fetch(&self, client: &Client) -> Result<Arc<str>, SecretError> {
        match &self.source {
            SecretSource::Value(value) => Ok(Arc::clone(value)),
            SecretSource::Aws(reference) => Ok(reference.fetch(client).await?.trim().into()),
        }
    }

    /// Fetches the secret again after `refused` was rejected. Returns whether it has changed, which a secret given as
    /// a value never does.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub async fn replaced(&self, client: &Client, refused: &str) -> Result<bool, SecretError> {
        if self.given().is_some() {
            return Ok(false);
        }
        let value = self.fetch(client).await?;
        let replaced = *value != *refused;
        *self.lock() = Some(value);
        Ok(replaced)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
