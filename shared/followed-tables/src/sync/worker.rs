//! Whoever works, and with what.

use database::Database;
use document_store::Prepared;
use futures_util::future::BoxFuture;

use crate::SyncConfig;

/// Chunks and embeds documents; where an error's causes go is the log.
pub type Embed =
    dyn Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>> + Send + Sync;

/// An error of the embedding.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whoever keeps documents equal to rows, and with what.
pub struct Worker<'a> {
    /// Its name, which no other worker has: that of its invocation.
    pub name: &'a str,
    /// Where tables and documents are.
    pub database: &'a Database,
    /// The recipe of the embeddings.
    pub recipe: &'a str,
    /// Chunks and embeds documents.
    pub embed: &'a Embed,
    /// Its settings.
    pub config: &'a SyncConfig,
}
