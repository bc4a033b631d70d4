//! Rows of lines whose outcome is recorded individually.

use database::{Database, DatabaseError, FromRow, Statement};

use super::{Claim, Claimed, PartLocation, not_claimed};

/// A claimed line, to be stored singly.
#[derive(Debug, FromRow)]
pub(crate) struct SingleLine {
    #[sqlx(flatten)]
    pub(crate) place: PartLocation,
    pub(crate) length: i32,
    /// Number of claims, including this one.
    pub(crate) attempts: i32,
}

/// A line and its recorded outcome.
#[derive(Clone, Debug)]
pub(crate) struct LineOutcome {
    pub(crate) position: i64,
    pub(crate) length: i32,
    pub(crate) line: i64,
    pub(crate) document_id: Option<String>,
    /// `refused` or `retrying`.
    pub(crate) outcome: &'static str,
    pub(crate) reason: String,
}

impl Claim {
    /// Claims the line of the message. As with a part, one that failed begins anew.
    pub(crate) async fn claim_line(
        &self,
        database: &Database,
        position: i64,
    ) -> Result<Claimed<SingleLine>, DatabaseError> {
        let take = Statement::write(
            "UPDATE rappel.import_lines AS l
             SET leased_until = now() + $4 * interval '1 second', receives = $5, outcome = 'retrying', settled_at = NULL,
                 attempts = CASE l.outcome WHEN 'failed' THEN 1 ELSE l.attempts + 1 END
             FROM rappel.import_parts AS p, rappel.imports AS i
             WHERE l.import_id = $1 AND l.part = $2 AND l.position = $3
               AND (l.outcome = 'retrying' AND l.leased_until < now() OR l.outcome = 'failed')
               AND p.import_id = l.import_id AND p.part = l.part AND i.id = l.import_id AND i.failure IS NULL
             RETURNING i.source, i.etag, i.bytes, i.tenant, i.visible::text AS visible, i.max_documents, i.key,
                       p.first, p.last, p.piece, l.length, l.attempts",
        )
        .bind(self.message.import.clone())
        .bind(self.message.part)
        .bind(position)
        .bind(self.lease.as_secs_f64())
        .bind(self.receives);
        if let Some(line) = database.fetch_optional(take).await? {
            return Ok(Claimed::Yes(line));
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
        Ok(not_claimed(database.fetch_optional(held).await?))
    }

    /// Inserts outcomes. Keeps only the first refused lines: enough to see what is wrong with the others.
    pub(crate) fn insert_lines(&self, lines: &[LineOutcome]) -> Statement {
        const KEPT: i64 = 100;
        let column = |value: fn(&LineOutcome) -> i64| lines.iter().map(value).collect::<Vec<_>>();
        let text = |value: fn(&LineOutcome) -> &str| -> Vec<String> {
            lines.iter().map(|line| value(line).to_owned()).collect()
        };
        let lengths: Vec<i32> = lines.iter().map(|line| line.length).collect();
        let ids: Vec<Option<String>> = lines.iter().map(|line| line.document_id.clone()).collect();
        Statement::idempotent_write(
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

    /// The part's lines to store singly, with their reasons.
    pub(crate) async fn retrying(
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

    /// Records the outcome of a single line; false if it had one already.
    pub(crate) fn settle(&self, position: i64, outcome: &str, reason: Option<String>) -> Statement {
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
}
