//! Tidies term statistics.

use database::{Database, DatabaseError};

/// Merges the stripes of each term and drops empty ones, left by concurrent writers and deleted documents. It skips
/// stripes locked by another transaction until the next time. Sums do not change.
///
/// # Errors
/// Any error of the database.
pub async fn tidy_statistics(database: &Database) -> Result<(), DatabaseError> {
    let mut transaction = database.begin().await?;
    transaction.lift_limits().await?;
    transaction.run_script(TIDY).await?;
    transaction.commit().await
}

const TIDY: &str = "
    WITH taken AS MATERIALIZED (
        SELECT s.tenant, s.term, s.stripe, s.chunks, s.occurrences
        FROM rappel.term_statistics AS s
        WHERE (s.chunks = 0 AND s.occurrences = 0) OR EXISTS (
            SELECT FROM rappel.term_statistics AS o WHERE o.tenant = s.tenant AND o.term = s.term AND o.stripe <> s.stripe
        )
        FOR UPDATE SKIP LOCKED
    ), dropped AS (
        DELETE FROM rappel.term_statistics AS s USING taken AS t
        WHERE s.tenant = t.tenant AND s.term = t.term AND s.stripe = t.stripe
    )
    INSERT INTO rappel.term_statistics (tenant, term, stripe, chunks, occurrences)
    SELECT t.tenant, t.term, (random() * 2147483647)::integer, sum(t.chunks), sum(t.occurrences)
    FROM taken AS t
    GROUP BY t.tenant, t.term
    HAVING sum(t.chunks) <> 0 OR sum(t.occurrences) <> 0
";
