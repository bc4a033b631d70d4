//! The context of a worker.

use database::Database;
use document_store::Embed;

use super::{Imports, file_reader::FileReader};

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
    /// Reads objects that are one document.
    pub files: FileReader,
}
