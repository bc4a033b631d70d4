//! The worker's name, connections and settings.

use database::Database;
use document_store::Prepared;
use futures_util::future::BoxFuture;

use crate::SyncConfig;

/// Chunks and embeds documents; causes of errors go to the log.
pub type Embed =
    dyn Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>> + Send + Sync;

/// An error of the embedding.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A worker that keeps documents equal to rows.
pub struct Worker<'a> {
    /// Its unique name: the id of its invocation.
    pub name: &'a str,
    /// The database of tables and documents.
    pub database: &'a Database,
    /// The recipe of the embeddings.
    pub recipe: &'a str,
    /// Chunks and embeds documents.
    pub embed: &'a Embed,
    /// Its settings.
    pub config: &'a SyncConfig,
}
