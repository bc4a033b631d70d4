//! Whoever works on imports.

use database::Database;
use document_store::Prepared;
use futures_util::future::BoxFuture;

use super::Imports;

/// Chunks and embeds documents; where an error's causes go is the log.
pub type Embed =
    dyn Fn(Vec<Prepared>) -> BoxFuture<'static, Result<Vec<Prepared>, BoxError>> + Send + Sync;

/// An error of the embedding.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Whoever works on imports, and with what.
pub struct Worker<'a> {
    /// Its name, which no other worker has: that of its invocation.
    pub name: &'a str,
    /// Where documents and the state of imports are.
    pub database: &'a Database,
    /// The queue and the objects.
    pub imports: &'a Imports,
    /// The recipe of the embeddings.
    pub recipe: &'a str,
    /// Chunks and embeds documents.
    pub embed: &'a Embed,
}
