//! The state of an import in the database: parts and lines, each claimed by one worker at a time under a lease.

mod lines;
mod parts;

use std::{path::Path, time::Duration};

use database::{FromRow, Statement};
use document_store::VisibilityParameters;

pub(crate) use self::{
    lines::{LineOutcome, SingleLine},
    parts::Part,
};
use super::{lines::Object, message::Message, source::ObjectSource};

/// The outcome of a claim.
#[derive(Debug)]
pub(crate) enum Claimed<T> {
    /// Claimed by this worker until its lease expires.
    Yes(T),
    /// Leased by another worker for at most this time.
    Leased(Duration),
    /// Done or failed, as is perhaps the whole import.
    Over,
}

/// The location of a part's bytes.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct PartLocation {
    source: String,
    etag: String,
    bytes: i64,
    first: i64,
    pub(crate) last: i64,
    piece: Option<String>,
    tenant: String,
    /// The compiled filter that the documents must match.
    visible: Option<String>,
    max_documents: Option<i64>,
    /// The id of the key that asked for the import; empty without one.
    key: String,
}

/// A worker's claim on a piece of work.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) message: Message,
    pub(crate) worker: String,
    pub(crate) lease: Duration,
    /// How often the message has been delivered.
    pub(crate) receives: i32,
}

impl PartLocation {
    /// Whose documents are imported, and which of them whoever asked for it may change.
    pub(crate) fn visibility(&self) -> VisibilityParameters {
        VisibilityParameters {
            tenant: self.tenant.clone(),
            filter: self.visible.clone(),
            max_documents: self.max_documents,
        }
    }

    /// Whom the import is counted for: the tenant and the id of the key that asked for it, which may be empty.
    pub(crate) fn account(&self) -> (&str, &str) {
        (&self.tenant, &self.key)
    }

    /// The object to read, and the offset of its first byte in the import.
    pub(crate) fn object(&self, bucket: &str) -> (Object, i64) {
        let Some(key) = &self.piece else {
            // Validated when the import was accepted.
            let source = ObjectSource::parse(&self.source, Some(Path::new("/")))
                .unwrap_or_else(|_| ObjectSource::File(self.source.clone().into()));
            let object = Object {
                source,
                etag: Some(self.etag.clone()),
                bytes: self.bytes.unsigned_abs(),
            };
            return (object, 0);
        };
        let source = ObjectSource::S3 {
            bucket: bucket.to_owned(),
            key: key.clone(),
        };
        let object = Object {
            source,
            etag: None,
            bytes: (self.last - self.first).unsigned_abs(),
        };
        (object, self.first)
    }
}

impl Claim {
    fn bind(&self, statement: Statement) -> Statement {
        statement
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(self.worker.clone())
            .bind(self.lease.as_secs_f64())
    }
}

/// The result of a failed claim: leased for some seconds, or over.
pub(crate) fn not_claimed<T>(held: Option<(f64,)>) -> Claimed<T> {
    match held {
        Some((seconds,)) => Claimed::Leased(Duration::from_secs_f64(seconds.max(0.0))),
        None => Claimed::Over,
    }
}
