//! Document ids of an import: if several lines have the same id, the last one wins, whichever worker stores it.

use std::collections::HashMap;

use database::{Database, DatabaseError, Statement, Transaction};
use document_store::Prepared;

/// The relation of a document to one with the same id and other content that this import has stored before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duplicate {
    /// Its line comes first: the stored one wins.
    Earlier,
    /// Its line comes later: it replaces the stored one.
    Later,
}

impl Duplicate {
    /// The reason listed for its line.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Earlier => "a later line has the same id and replaces it",
            Self::Later => "an earlier line has the same id: this one replaces it",
        }
    }
}

/// Records the positions of a batch's documents, whose ids are distinct, and returns those whose id was stored
/// before. Other transactions with these ids wait until this one ends.
pub(super) async fn claim(
    transaction: &mut Transaction,
    import: &str,
    lines: &[(i64, &Prepared)],
) -> Result<HashMap<String, Duplicate>, DatabaseError> {
    if lines.is_empty() {
        return Ok(HashMap::new());
    }
    let positions: Vec<i64> = lines.iter().map(|(position, _)| *position).collect();
    let (ids, hashes): (Vec<String>, Vec<Vec<u8>>) = lines
        .iter()
        .map(|(_, document)| (document.id().to_owned(), document.hash().to_vec()))
        .unzip();
    let statement = Statement::idempotent_write(
        "WITH met AS (
             INSERT INTO rappel.import_ids AS i (import_id, document_id, position, hash)
             SELECT $1, u.id, u.position, u.hash
             FROM unnest($2::text[], $3::bigint[], $4::bytea[]) AS u (id, position, hash)
             ORDER BY u.id COLLATE \"C\"
             ON CONFLICT (import_id, document_id) DO UPDATE
                 SET position = greatest(i.position, excluded.position),
                     hash = CASE WHEN excluded.position > i.position THEN excluded.hash ELSE i.hash END,
                     is_other = i.hash <> excluded.hash
             RETURNING i.document_id, i.position, i.is_other
         )
         SELECT document_id, position FROM met WHERE is_other",
    )
    .bind(import.to_owned())
    .bind(ids)
    .bind(positions)
    .bind(hashes);
    let met: Vec<(String, i64)> = transaction.fetch_all(statement).await?;
    let meeting = |(id, last): (String, i64)| {
        let (own, _) = lines.iter().find(|(_, document)| document.id() == id)?;
        let meeting = if *own < last {
            Duplicate::Earlier
        } else {
            Duplicate::Later
        };
        Some((id, meeting))
    };
    Ok(met.into_iter().filter_map(meeting).collect())
}

/// Deletes the ids of finished imports.
pub(super) async fn forget(database: &Database) -> Result<(), DatabaseError> {
    let statement = Statement::idempotent_write(
        "WITH forgotten AS (
             DELETE FROM rappel.import_ids AS d USING rappel.imports AS i
             WHERE i.id = d.import_id AND (i.failure IS NOT NULL OR NOT EXISTS (
                 SELECT FROM rappel.import_parts AS p WHERE p.import_id = i.id AND p.finished_at IS NULL
             ))
             RETURNING d.import_id
         )
         SELECT count(*) FROM forgotten",
    );
    database.fetch_all::<(i64,)>(statement).await.map(drop)
}
