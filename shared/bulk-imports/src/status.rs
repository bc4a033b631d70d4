//! How far an import is.

use database::{Database, Statement};
use serde::Serialize;
use sqlx::FromRow;

use super::ImportError;

/// The state of an import.
#[derive(Debug, Serialize)]
pub struct Import {
    /// Its id.
    pub id: String,
    /// What is imported, as the caller named it.
    pub source: String,
    /// Where it is.
    pub state: ImportState,
    /// Its documents.
    pub documents: Documents,
    /// Bytes of its text; of a compressed object those of its content.
    pub bytes: Progress,
    /// The parts that it was cut into.
    pub parts: Parts,
    /// Documents done a second, from the request to now or to the end.
    pub documents_per_second: f64,
    /// When it was accepted, RFC 3339 in UTC.
    pub created_at: String,
    /// When it ended, RFC 3339 in UTC.
    pub finished_at: Option<String>,
    /// What failed, and why: the first [`Import::MAX_FAILURES`] in the order of the object.
    pub failures: Vec<Failure>,
}

/// Where an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// No worker has begun.
    Queued,
    /// Workers are at it.
    Running,
    /// It has ended; single documents may have failed.
    Done,
    /// It has ended before its end, or without a document that is stored.
    Failed,
}

/// Documents of an import. Those that were read are done, failed, or being tried alone.
#[derive(Debug, Serialize)]
pub struct Documents {
    /// Read so far; of an import that has ended, all.
    pub total: i64,
    /// Stored as the object says.
    pub done: i64,
    /// Those of `done` that were stored already.
    pub unchanged: i64,
    /// Lines that are no documents, and documents that could not be stored.
    pub failed: i64,
}

/// How much of something is done.
#[derive(Debug, Serialize)]
pub struct Progress {
    /// All of it; absent until it is known.
    pub total: Option<i64>,
    /// Done.
    pub done: i64,
}

/// The parts of an import.
#[derive(Debug, Serialize)]
pub struct Parts {
    /// All of them; absent until the object is cut.
    pub total: Option<i64>,
    /// Worked through.
    pub done: i64,
    /// Given up, with all that was not read of them.
    pub failed: i64,
}

/// What failed.
#[derive(Debug, Serialize, FromRow)]
pub struct Failure {
    /// Where it begins in the text, in bytes; absent if it is the whole import.
    pub offset: Option<i64>,
    /// Its line, from 1; absent until all lines before it are counted.
    pub line: Option<i64>,
    /// The document's id, if it could be read.
    pub document_id: Option<String>,
    /// Why.
    pub reason: String,
}

/// An import with the sums of its parts and lines.
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
    /// Failures that are shown.
    pub const MAX_FAILURES: i64 = 100;

    /// Reads the state of an import whose messages the queue delivers `max_receives` times.
    pub(super) async fn read(
        database: &Database,
        id: &str,
        max_receives: i32,
    ) -> Result<Self, ImportError> {
        if id.contains('\0') {
            // Postgres would refuse the text.
            return Err(ImportError::Unknown(id.to_owned()));
        }
        let statement = Statement::read(concat!(
            "SELECT * FROM ",
            schema::function!("import_state"),
            "($1, $2)"
        ))
        .bind(id.to_owned())
        .bind(max_receives);
        let row: Option<Row> = database.fetch_optional(statement).await?;
        let row = row.ok_or_else(|| ImportError::Unknown(id.to_owned()))?;
        let statement = Statement::read(concat!(
            "SELECT f.\"offset\", f.line, f.document_id, f.reason FROM ",
            schema::function!("import_failures"),
            "($1, $2) AS f LIMIT $3",
        ))
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
