//! Rows of parts: claimed by a worker, advanced together with what it stores, finished.

use database::{Database, DatabaseError, FromRow, Statement, Transaction};

use super::{Claim, Claimed, LineOutcome, PartLocation, not_claimed};

/// A claimed part.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct Part {
    #[sqlx(flatten)]
    pub(crate) place: PartLocation,
    pub(crate) position: i64,
    pub(crate) lines: i64,
    pub(crate) stored: i64,
    pub(crate) unchanged: i64,
    pub(crate) refused: i64,
    /// Claims since its position last moved, including this one.
    pub(crate) attempts: i32,
}

impl Claim {
    /// Claims the part of the message. A part that failed begins anew: only its dead letter, moved back to the queue, still
    /// refers to it.
    pub(crate) async fn claim_part(
        &self,
        database: &Database,
    ) -> Result<Claimed<Part>, DatabaseError> {
        let take = self.bind(Statement::write(
            "UPDATE rappel.import_parts AS p
             SET worker = $3, leased_until = now() + $4 * interval '1 second', receives = $5,
                 attempts = CASE WHEN p.failure IS NULL THEN p.attempts + 1 ELSE 1 END, failure = NULL, finished_at = NULL
             FROM rappel.imports AS i
             WHERE p.import_id = $1 AND p.part = $2
               AND (p.finished_at IS NULL AND p.leased_until < now() OR p.failure IS NOT NULL)
               AND i.id = p.import_id AND i.failure IS NULL
             RETURNING i.source, i.etag, i.bytes, i.tenant, i.visible::text AS visible, i.max_documents, i.key,
                       p.first, p.last, p.piece, p.position, p.lines, p.stored,
                       p.unchanged, p.refused, p.attempts",
        ))
        .bind(self.receives);
        if let Some(part) = database.fetch_optional(take).await? {
            return Ok(Claimed::Yes(part));
        }
        let held = Statement::read(
            "SELECT greatest(extract(epoch FROM p.leased_until - now()), 0)::float8
             FROM rappel.import_parts AS p JOIN rappel.imports AS i ON i.id = p.import_id
             WHERE p.import_id = $1 AND p.part = $2 AND p.finished_at IS NULL AND i.failure IS NULL",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part);
        Ok(not_claimed(database.fetch_optional(held).await?))
    }

    /// Renews the lease on the line or the part.
    pub(crate) async fn renew(&self, database: &Database) -> Result<(), DatabaseError> {
        let statement = match self.message.position {
            None => self.bind(Statement::idempotent_write(
                "UPDATE rappel.import_parts SET leased_until = now() + $4 * interval '1 second'
                 WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
                 RETURNING part",
            )),
            Some(position) => Statement::idempotent_write(
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

    /// Advances the part; false if the lease is lost or the import has ended.
    pub(crate) async fn advance(
        &self,
        transaction: &mut Transaction,
        part: &Part,
        lines: &[LineOutcome],
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

    /// Finishes the part, with a reason if it failed.
    pub(crate) async fn finish(
        &self,
        database: &Database,
        failure: Option<String>,
    ) -> Result<(), DatabaseError> {
        let statement = Statement::idempotent_write(
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

    /// Releases the part or the line at once and resets its delivery count.
    pub(crate) async fn release(&self, database: &Database) -> Result<(), DatabaseError> {
        let statement = match self.message.position {
            None => Statement::idempotent_write(
                "UPDATE rappel.import_parts SET worker = NULL, leased_until = now(), receives = 0
                 WHERE import_id = $1 AND part = $2 AND worker = $3 AND finished_at IS NULL
                 RETURNING part",
            )
            .bind(self.message.import.clone())
            .bind(self.message.part)
            .bind(self.worker.clone()),
            Some(position) => Statement::idempotent_write(
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

    /// Fails the whole import.
    pub(crate) async fn fail_import(
        &self,
        database: &Database,
        failure: String,
    ) -> Result<(), DatabaseError> {
        let statement = Statement::idempotent_write(
            "UPDATE rappel.imports SET failure = $2, failed_at = now() WHERE id = $1 AND failure IS NULL
             RETURNING id",
        )
        .bind(self.message.import.clone())
        .bind(failure);
        database.fetch_all::<(String,)>(statement).await.map(drop)
    }
}
