//! The worker's name, connections and settings.

use database::Database;
use document_store::Embed;

use crate::SyncConfig;

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
