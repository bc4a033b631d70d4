//! The progress of an import.

use database::{Database, FromRow, Statement};
use document_store::Tenant;
use schemars::JsonSchema;
use serde::Serialize;

use super::ImportError;

/// The state of an import.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Import {
    /// Its id.
    pub id: String,
    /// The source, as the caller gave it.
    pub source: String,
    /// Its state.
    pub state: ImportState,
    /// Counts of documents.
    pub documents: Documents,
    /// Progress in bytes of text; for a compressed object, of its content.
    pub bytes: Progress,
    /// Counts of parts.
    pub parts: Parts,
    /// Processed documents per second, from acceptance to now or to the end.
    pub documents_per_second: f64,
    /// When it was accepted: RFC 3339, UTC.
    pub created_at: String,
    /// When it ended: RFC 3339, UTC.
    pub finished_at: Option<String>,
    /// The first 100 failures in the order of the object.
    pub failures: Vec<Failure>,
}

/// The state of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// No worker has started.
    Queued,
    /// Workers are processing it.
    Running,
    /// Finished; single documents may have failed.
    Done,
    /// Stopped early, or no document was stored.
    Failed,
}

/// Counts of documents. Each document read is done, failed, or being retried singly.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImportDocuments")]
pub struct Documents {
    /// Read so far.
    pub total: i64,
    /// Stored, or stored before.
    pub done: i64,
    /// Of `done`: those stored before, unchanged.
    pub unchanged: i64,
    /// Invalid lines, and documents that could not be stored.
    pub failed: i64,
}

/// Progress of a quantity.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImportProgress")]
pub struct Progress {
    /// The total; absent until known.
    pub total: Option<i64>,
    /// Done.
    pub done: i64,
}

/// Counts of parts.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ImportParts")]
pub struct Parts {
    /// The total; absent until the object is cut.
    pub total: Option<i64>,
    /// Finished.
    pub done: i64,
    /// Failed; what was not read of them is lost.
    pub failed: i64,
}

/// A failed line, or the failure of the whole import.
#[derive(Debug, Serialize, FromRow, JsonSchema)]
#[schemars(rename = "ImportFailure")]
pub struct Failure {
    /// Byte offset of its line in the text; absent for the whole import.
    pub offset: Option<i64>,
    /// Its line number, from 1; absent until all lines before it are counted.
    pub line: Option<i64>,
    /// The document's id, if it could be parsed.
    pub document_id: Option<String>,
    /// The reason.
    pub reason: String,
}

/// An import, with the sums over its parts and lines.
#[derive(FromRow)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are what the database answers, column by column"
)]
struct Row {
    id: String,
    source: String,
    created_at: String,
    ended_at: Option<String>,
    seconds: f64,
    failed: bool,
    begun: bool,
    planned: bool,
    ended: bool,
    bytes: i64,
    bytes_done: i64,
    parts: i64,
    parts_done: i64,
    parts_failed: i64,
    stored: i64,
    unchanged: i64,
    refused: i64,
    retrying: i64,
}

impl Import {
    /// Maximum number of failures listed.
    pub const MAX_FAILURES: i64 = 100;

    /// Reads the state of an import; `max_receives` is the queue's delivery limit.
    pub(super) async fn read(
        database: &Database,
        tenant: &Tenant,
        id: &str,
        max_receives: i32,
    ) -> Result<Self, ImportError> {
        if id.contains('\0') {
            // Postgres rejects a text with NUL.
            return Err(ImportError::Unknown(id.to_owned()));
        }
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("import_state"),
            "($1, $2, $3)"
        ))
        .bind(tenant.as_str().to_owned())
        .bind(id.to_owned())
        .bind(max_receives);
        let row: Option<Row> = database.fetch_optional(statement).await?;
        let row = row.ok_or_else(|| ImportError::Unknown(id.to_owned()))?;
        let statement = Statement::read(concat!(
            "SELECT f.\"offset\", f.line, f.document_id, f.reason FROM ",
            schema::function!("import_failures"),
            "($1, $2, $3) AS f LIMIT $4",
        ))
        .bind(tenant.as_str().to_owned())
        .bind(id.to_owned())
        .bind(max_receives)
        .bind(Self::MAX_FAILURES);
        Ok(row.with(database.fetch_all(statement).await?))
    }
}

impl Row {
    fn with(self, failures: Vec<Failure>) -> Import {
        let done = self.stored + self.unchanged;
        let state = match (self.ended, self.begun) {
            (true, _) if self.failed || (done == 0 && self.refused > 0) => ImportState::Failed,
            (true, _) => ImportState::Done,
            (false, true) => ImportState::Running,
            (false, false) => ImportState::Queued,
        };
        Import {
            id: self.id,
            source: self.source,
            state,
            documents: Documents {
                total: done + self.refused + self.retrying,
                done,
                unchanged: self.unchanged,
                failed: self.refused,
            },
            bytes: Progress {
                total: self.planned.then_some(self.bytes),
                done: self.bytes_done,
            },
            parts: Parts {
                total: self.planned.then_some(self.parts),
                done: self.parts_done,
                failed: self.parts_failed,
            },
            documents_per_second: (done as f64 / self.seconds.max(0.001) * 10.0).round() / 10.0,
            created_at: self.created_at,
            finished_at: self.ended_at,
            failures,
        }
    }
}
