//! Followed tables: keeps documents equal to the rows of tables of the same database.
//!
//! Triggers note the keys of the rows that change, in the transaction that changes them (`shared/schema/functions/source_follow.sql`).
//! A worker leases keys, reads their current rows, embeds, and in one transaction stores the documents, clears the keys
//! and releases the leases. Even if a worker dies, a key goes only when its document equals the row that was read, and
//! the row has not changed since.

mod config;
mod definition;
mod document;
mod page;
mod sources;
mod state;
mod sync;

use database::DatabaseError;
use json::FieldError;

pub use self::{
    config::SyncConfig,
    definition::SourceDefinition,
    page::{SourceCursor, Sources, sources},
    sources::{Followed, follow, remove, resync},
    state::{FailedRow, Removed, Rows, SkippedChanges, Source, SourceState, Walk, source},
    sync::{Synced, Worker, work},
};

/// Why a source was not changed or read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The request is invalid, or does not fit the table and its columns.
    #[error("invalid source: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// No source has this name.
    #[error("no source is named {0:?}")]
    Unknown(String),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}
