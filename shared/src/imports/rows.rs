//! The rows of imports: taken by a worker, moved on together with what it stores, given up.

use std::time::Duration;

use sqlx::FromRow;

use super::{message::Message, source::Source};
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

/// A part that was taken.
#[derive(Clone, Debug, FromRow)]
pub(super) struct Part {
    source: String,
    etag: String,
    bytes: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    piece: Option<String>,
    pub(super) position: i64,
    pub(super) lines: i64,
    pub(super) stored: i64,
    pub(super) unchanged: i64,
    pub(super) refused: i64,
    /// How often it was taken since its position last moved, this time included.
    pub(super) attempts: i32,
}

/// A line that was taken, to be tried alone.
#[derive(Debug, FromRow)]
pub(super) struct AloneLine {
    source: String,
    etag: String,
    bytes: i64,
    first: i64,
    last: i64,
    piece: Option<String>,
    pub(super) length: i32,
}

/// A line with an outcome of its own.
#[derive(Clone, Debug)]
pub(super) struct LineRow {
    pub(super) position: i64,
    pub(super) length: i32,
    pub(super) line: i64,
    pub(super) document_id: Option<String>,
    /// `refused` or `retrying`.
    pub(super) outcome: &'static str,
    pub(super) reason: String,
}

/// Whoever works on the rows of one piece of work.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) message: Message,
    pub(super) worker: String,
    pub(super) lease: Duration,
}

impl Part {
    /// The object to read, and where its first byte is among those of the import.
    pub(super) fn object(&self, bucket: &str) -> (Object, i64) {
        let piece = self.piece.as_deref();
        object(
            (&self.source, &self.etag, self.bytes),
            piece,
            (self.first, self.last),
            bucket,
        )
    }
}

impl AloneLine {
    /// See [`Part::object`].
    pub(super) fn object(&self, bucket: &str) -> (Object, i64) {
        let piece = self.piece.as_deref();
        object(
            (&self.source, &self.etag, self.bytes),
            piece,
            (self.first, self.last),
            bucket,
        )
    }
}

fn object(
    (source, etag, bytes): (&str, &str, i64),
    piece: Option<&str>,
    (first, last): (i64, i64),
    bucket: &str,
) -> (Object, i64) {
    let Some(key) = piece else {
        // It was checked when the import was accepted.
        let source = Source::parse(source, true).unwrap_or_else(|_| Source::File(source.into()));
        let object = Object {
            source,
            etag: Some(etag.to_owned()),
            bytes: bytes.unsigned_abs(),
        };
        return (object, 0);
    };
    let source = Source::S3 {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
    };
    let object = Object {
        source,
        etag: None,
        bytes: (last - first).unsigned_abs(),
    };
    (object, first)
}

impl Hold {
    /// Takes the part of the message.
    pub(super) async fn take_part(&self, database: &Database) -> Result<Take<Part>, DatabaseError> {
        let take = self.bind(Statement::write(
            "UPDATE rappel.import_parts AS p
             SET worker = $3, leased_until = now() + $4 * interval '1 second', attempts = p.attempts + 1
             FROM rappel.imports AS i
             WHERE p.import_id = $1 AND p.part = $2 AND p.finished_at IS NULL AND p.leased_until < now()
               AND i.id = p.import_id AND i.failure IS NULL
             RETURNING i.source, i.etag, i.bytes, p.first, p.last, p.piece, p.position, p.lines, p.stored,
                       p.unchanged, p.refused, p.attempts",
        ));
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

    /// Takes the line of the message.
    pub(super) async fn take_line(
        &self,
        database: &Database,
        position: i64,
    ) -> Result<Take<AloneLine>, DatabaseError> {
        let take = Statement::write(
            "UPDATE rappel.import_lines AS l
             SET leased_until = now() + $4 * interval '1 second', attempts = l.attempts + 1
             FROM rappel.import_parts AS p, rappel.imports AS i
             WHERE l.import_id = $1 AND l.part = $2 AND l.position = $3 AND l.outcome = 'retrying'
               AND l.leased_until < now()
               AND p.import_id = l.import_id AND p.part = l.part AND i.id = l.import_id AND i.failure IS NULL
             RETURNING i.source, i.etag, i.bytes, p.first, p.last, p.piece, l.length",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(position)
        .bind(self.lease.as_secs_f64());
        if let Some(line) = database.fetch_optional(take).await? {
            return Ok(Take::Taken(line));
        }
        let held = Statement::read(
            "SELECT greatest(extract(epoch FROM l.leased_until - now()), 0)::float8
             FROM rappel.import_lines AS l JOIN rappel.imports AS i ON i.id = l.import_id
             WHERE l.import_id = $1 AND l.part = $2 AND l.position = $3 AND l.outcome = 'retrying'
               AND i.failure IS NULL",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(position);
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

    /// Of refused lines some are enough to see what is wrong with the others.
    fn insert_lines(&self, lines: &[LineRow]) -> Statement {
        const KEPT: i64 = 100;
        let column = |value: fn(&LineRow) -> i64| lines.iter().map(value).collect::<Vec<_>>();
        let text = |value: fn(&LineRow) -> &str| -> Vec<String> {
            lines.iter().map(|line| value(line).to_owned()).collect()
        };
        let lengths: Vec<i32> = lines.iter().map(|line| line.length).collect();
        let ids: Vec<Option<String>> = lines.iter().map(|line| line.document_id.clone()).collect();
        Statement::upsert(
            "INSERT INTO rappel.import_lines AS l
                 (import_id, part, position, length, line, document_id, outcome, reason)
             SELECT $1, $2, u.position, u.length, u.line, u.document_id, u.outcome, u.reason
             FROM unnest($3::bigint[], $4::integer[], $5::bigint[], $6::text[], $7::text[], $8::text[])
                  AS u (position, length, line, document_id, outcome, reason)
             WHERE u.outcome = 'retrying' OR $9 > (
                 SELECT count(*) FROM rappel.import_lines AS k WHERE k.import_id = $1 AND k.outcome = 'refused'
             )
             ON CONFLICT DO NOTHING
             RETURNING l.position",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(column(|line| line.position))
        .bind(lengths)
        .bind(column(|line| line.line))
        .bind(ids)
        .bind(text(|line| line.outcome))
        .bind(text(|line| &line.reason))
        .bind(KEPT)
    }

    /// The part's lines that are to be tried alone, with their reasons.
    pub(super) async fn retrying(
        &self,
        database: &Database,
    ) -> Result<Vec<(i64, String)>, DatabaseError> {
        let statement = Statement::read(
            "SELECT position, reason FROM rappel.import_lines
             WHERE import_id = $1 AND part = $2 AND outcome = 'retrying'
             ORDER BY position",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part);
        database.fetch_all(statement).await
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

    /// Lets others take the part at once.
    pub(super) async fn release(&self, database: &Database) -> Result<(), DatabaseError> {
        let statement = Statement::upsert(
            "UPDATE rappel.import_parts SET worker = NULL, leased_until = '-infinity'
             WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
             RETURNING part",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(self.worker.clone());
        database.fetch_all::<(i32,)>(statement).await.map(drop)
    }

    /// Writes the outcome of a line that was tried alone; false if it had one already.
    pub(super) fn settle(&self, position: i64, outcome: &str, reason: Option<String>) -> Statement {
        Statement::write(
            "UPDATE rappel.import_lines
             SET outcome = $4, reason = coalesce($5, reason), settled_at = now()
             WHERE import_id = $1 AND part = $2 AND position = $3 AND outcome = 'retrying'
             RETURNING position",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(position)
        .bind(outcome.to_owned())
        .bind(reason)
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

fn not_taken<T>(held: Option<(f64,)>) -> Take<T> {
    match held {
        Some((seconds,)) => Take::Held(Duration::from_secs_f64(seconds.max(0.0))),
        None => Take::Over,
    }
}
