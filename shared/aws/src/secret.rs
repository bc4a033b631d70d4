//! Settings that are secret: the value itself, or a reference to where AWS keeps it.

mod error;
mod fetch;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use reqwest::Client;

pub use self::error::SecretError;
use self::fetch::Reference;

/// A secret, fetched when it is first asked for and kept.
pub struct Secret {
    source: Source,
    fetched: Mutex<Option<Arc<str>>>,
}

enum Source {
    Value(Arc<str>),
    Aws(Reference),
}

impl Secret {
    /// Takes a value as it is, and an ARN for a reference: of a secret of Secrets Manager, whose field
    /// may follow after `#` if it is JSON, or of a parameter of Systems Manager.
    ///
    /// # Errors
    /// When an ARN is of neither.
    pub fn parse(setting: &str) -> Result<Self, SecretError> {
        // Editors end files with a line break, which no key has.
        let setting = setting.trim();
        let source = if setting.starts_with("arn:") {
            Source::Aws(Reference::parse(setting)?)
        } else {
            Source::Value(setting.into())
        };
        Ok(Self {
            source,
            fetched: Mutex::new(None),
        })
    }

    /// The secret, if it was given as it is.
    #[must_use]
    pub fn given(&self) -> Option<Arc<str>> {
        match &self.source {
            Source::Value(value) => Some(Arc::clone(value)),
            Source::Aws(_) => None,
        }
    }

    /// The secret.
    ///
    /// # Errors
    /// When it has to be fetched and AWS does not give it.
    pub async fn value(&self, client: &Client) -> Result<Arc<str>, SecretError> {
        if let Some(value) = &*self.lock() {
            return Ok(Arc::clone(value));
        }
        let value = self.fetch(client).await?;
        *self.lock() = Some(Arc::clone(&value));
        Ok(value)
    }

    /// The secret as it is kept now, which is asked for even if it is known already.
    ///
    /// # Errors
    /// As [`Self::value`].
    pub async fn fetch(&self, client: &Client) -> Result<Arc<str>, SecretError> {
        match &self.source {
            Source::Value(value) => Ok(Arc::clone(value)),
            Source::Aws(reference) => Ok(reference.fetch(client).await?.trim().into()),
        }
    }

    /// Fetches the secret again, after `refused` was. Answers whether it is another one now, which it
    /// never is if it was given as it is.
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
