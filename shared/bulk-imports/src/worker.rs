//! The context of a worker.

use database::Database;
use document_store::Prepared;
use futures_util::future::BoxFuture;

use super::Imports;

/// Chunks and embeds documents. Causes of its errors are only logged.
pub type Embed =
    dyn Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>> + Send + Sync;

/// An error of embedding.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A worker and its resources.
pub struct Worker<'a> {
    /// Its unique name: the request id of its invocation.
    pub name: &'a str,
    /// The database of documents and import state.
    pub database: &'a Database,
    /// Queue and object store.
    pub imports: &'a Imports,
    /// The embedding recipe.
    pub recipe: &'a str,
    /// Chunks and embeds documents.
    pub embed: &'a Embed,
}
