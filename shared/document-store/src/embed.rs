//! How a writer of documents has them embedded: this crate links no model.

use std::error::Error;

use futures_util::future::BoxFuture;

use super::Prepared;

/// Chunks and embeds documents. Causes of its errors are only logged.
pub type Embed =
    dyn Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>> + Send + Sync;

/// An error of embedding.
pub type BoxError = Box<dyn Error + Send + Sync>;
