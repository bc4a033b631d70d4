//! The rows of parts: taken by a worker, moved on together with what it stores, given up.

use std::{path::Path, time::Duration};

use sqlx::FromRow;

use super::{line_rows::LineRow, message::Message, source::Source};
use crate::{
    database::{Database, DatabaseError, Statement, Transaction},
    imports::lines::Object,
};

/// What taking a piece of work came to.
#[derive(Debug)]
pub(super) enum Take<T> {
    /// It is this worker's, until its lease is over.
    Taken(T),
    /// Another worker has it, for this time at most.
    Held(Duration),
    /// It is done or given up, or its import is.
    Over,
}

/// Where the bytes of a part are.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Place {
    source: String,
    etag: String,
    bytes: i64,
    first: i64,
    pub(super) last: i64,
    piece: Option<String>,
}

/// A part that was taken.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Part {
    #[sqlx(flatten)]
    pub(super) place: Place,
    pub(super) position: i64,
    pub(super) lines: i64,
    pub(super) stored: i64,
    pub(super) unchanged: i64,
    pub(super) refused: i64,
    /// How often it was taken since its position last moved, this time included.
    pub(super) attempts: i32,
}

/// Whoever works on the rows of one piece of work.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) message: Message,
    pub(super) worker: String,
    pub(super) lease: Duration,
    /// How often the message has been delivered.
    pub(super) receives: i32,
}

impl Place {
    /// The object to read, and where its first byte is among those of the import.
    pub(super) fn object(&self, bucket: &str) -> (Object, i64) {
        let Some(key) = &self.piece else {
            // It was checked when the import was accepted.
            let source = Source::parse(&self.source, Some(Path::new("/")))
                .unwrap_or_else(|_| Source::File(self.source.clone().into()));
            let object = Object {
                source,
                etag: Some(self.etag.clone()),
                bytes: self.bytes.unsigned_abs(),
            };
            return (object, 0);
        };
        let source = Source::S3 {
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

impl Hold {
    /// Takes the part of the message.
    pub(super) async fn take_part(&self, database: &Database) -> Result<Take<Part>, DatabaseError> {
        let take = self.bind(Statement::write(
            "UPDATE rappel.import_parts AS p
             SET worker = $3, leased_until = now() + $4 * interval '1 second', attempts = p.attempts + 1, receives = $5
             FROM rappel.imports AS i
             WHERE p.import_id = $1 AND p.part = $2 AND p.finished_at IS NULL AND p.leased_until < now()
               AND i.id = p.import_id AND i.failure IS NULL
             RETURNING i.source, i.etag, i.bytes, p.first, p.last, p.piece, p.position, p.lines, p.stored,
                       p.unchanged, p.refused, p.attempts",
        ))
        .bind(self.receives);
        if let Some(part) = database.fetch_optional(take).await? {
            return Ok(Take::Taken(part));
        }
        let held = Statement::read(
            "SELECT greatest(extract(epoch FROM p.leased_until - now()), 0)::float8
             FROM rappel.import_parts AS p JOIN rappel.imports AS i ON i.id = p.import_id
             WHERE p.import_id = $1 AND p.part = $2 AND p.finished_at IS NULL AND i.failure IS NULL",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part);
        Ok(not_taken(database.fetch_optional(held).await?))
    }

    /// Renews the lease, of the line or of the part.
    pub(super) async fn renew(&self, database: &Database) -> Result<(), DatabaseError> {
        let statement = match self.message.position {
            None => self.bind(Statement::upsert(
                "UPDATE rappel.import_parts SET leased_until = now() + $4 * interval '1 second'
                 WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
                 RETURNING part",
            )),
            Some(position) => Statement::upsert(
                "UPDATE rappel.import_lines SET leased_until = now() + $4 * interval '1 second'
                 WHERE import_id = $1 AND part = $2 AND position = $3 AND outcome = 'retrying'
                   AND leased_until > now()
                 RETURNING part",
            )
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(position)
            .bind(self.lease.as_secs_f64()),
        };
        database.fetch_all::<(i32,)>(statement).await.map(drop)
    }

    /// Moves the part on, if it is still this worker's and its import goes on; false if not.
    pub(super) async fn advance(
        &self,
        transaction: &mut Transaction,
        part: &Part,
        lines: &[LineRow],
    ) -> Result<bool, DatabaseError> {
        let statement = self
            .bind(Statement::write(
                "UPDATE rappel.import_parts AS p
                 SET leased_until = now() + $4 * interval '1 second', attempts = 0,
                     position = $5, lines = $6, stored = $7, unchanged = $8, refused = $9
                 FROM rappel.imports AS i
                 WHERE p.import_id = $1 AND p.part = $2 AND p.worker = $3 AND p.finished_at IS NULL
                   AND i.id = p.import_id AND i.failure IS NULL
                 RETURNING p.part",
            ))
            .bind(part.position)
            .bind(part.lines)
            .bind(part.stored)
            .bind(part.unchanged)
            .bind(part.refused);
        if transaction.fetch_all::<(i32,)>(statement).await?.is_empty() {
            return Ok(false);
        }
        if !lines.is_empty() {
            transaction
                .fetch_all::<(i64,)>(self.insert_lines(lines))
                .await?;
        }
        Ok(true)
    }

    /// Ends the part, with the reason if it was given up.
    pub(super) async fn finish(
        &self,
        database: &Database,
        failure: Option<String>,
    ) -> Result<(), DatabaseError> {
        let statement = Statement::upsert(
            "UPDATE rappel.import_parts SET finished_at = now(), failure = $4
             WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
             RETURNING part",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(self.worker.clone())
        .bind(failure);
        database.fetch_all::<(i32,)>(statement).await.map(drop)
    }

    /// Lets others take the part, or the line, at once: its message lives, whatever was its last delivery.
    pub(super) async fn release(&self, database: &Database) -> Result<(), DatabaseError> {
        let statement = match self.message.position {
            None => Statement::upsert(
                "UPDATE rappel.import_parts SET worker = NULL, leased_until = now(), receives = 0
                 WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
                 RETURNING part",
            )
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(self.worker.clone()),
            Some(position) => Statement::upsert(
                "UPDATE rappel.import_lines SET leased_until = now(), receives = 0
                 WHERE import_id = $1 AND part = $2 AND position = $3 AND outcome = 'retrying'
                 RETURNING part",
            )
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(position),
        };
        database.fetch_all::<(i32,)>(statement).await.map(drop)
    }

    /// Ends the import before its end.
    pub(super) async fn fail_import(
        &self,
        database: &Database,
        failure: String,
    ) -> Result<(), DatabaseError> {
        let statement = Statement::upsert(
            "UPDATE rappel.imports SET failure = $2, failed_at = now() WHERE id = $1 AND failure IS NULL
             RETURNING id",
        )
        .bind(self.message.import.clone())
        .bind(failure);
        database.fetch_all::<(String,)>(statement).await.map(drop)
    }

    fn bind(&self, statement: Statement) -> Statement {
        statement
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(self.worker.clone())
            .bind(self.lease.as_secs_f64())
    }
}

/// What a piece of work is that could not be taken: held for some seconds, or over.
pub(super) fn not_taken<T>(held: Option<(f64,)>) -> Take<T> {
    match held {
        Some((seconds,)) => Take::Held(Duration::from_secs_f64(seconds.max(0.0))),
        None => Take::Over,
    }
}
