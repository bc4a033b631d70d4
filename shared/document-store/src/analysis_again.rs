//! Analyses the words of stored passages again.

use analysis::Guess;
use database::{DatabaseError, Statement, Transaction};

use super::{
    Metadata,
    load::{COPY_TERMS, TermsCopy},
    prepared::chunk_terms,
};

/// Documents to read at a time.
const BATCH: i32 = 200;

/// A document with its passages.
#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    title: String,
    content: String,
    metadata: String,
    ordinals: Vec<i32>,
    headings: Vec<String>,
    passages: Vec<String>,
}

/// Replaces the terms of every stored passage with those of this build's analysis.
///
/// # Errors
/// When the database fails.
pub async fn analyse_again(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    transaction
        .run_script("TRUNCATE rappel.chunk_terms")
        .await?;
    let mut last = String::new();
    loop {
        let statement = Statement::read(
            "SELECT d.id, d.title, d.content, d.metadata::text AS metadata, c.ordinals, c.headings, c.passages
             FROM (SELECT * FROM rappel.documents AS d WHERE d.id > $1 ORDER BY d.id LIMIT $2) AS d
             CROSS JOIN LATERAL (
                 SELECT array_agg(c.ordinal) AS ordinals, array_agg(c.heading) AS headings, array_agg(c.content) AS passages
                 FROM rappel.chunks AS c WHERE c.document_id = d.id
             ) AS c
             WHERE c.ordinals IS NOT NULL
             ORDER BY d.id",
        )
        .bind(last.clone())
        .bind(BATCH);
        let rows: Vec<Row> = transaction.fetch_all(statement).await?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last.clone_from(&row.id);
        let mut copy = TermsCopy::new();
        for row in &rows {
            let metadata: Metadata = serde_json::from_str(&row.metadata).unwrap_or_default();
            let named = metadata.language();
            let guess = Guess::of_document(named.as_deref(), &row.title, &row.content);
            let passages = row.ordinals.iter().zip(&row.headings).zip(&row.passages);
            for ((ordinal, heading), passage) in passages {
                let terms = chunk_terms(&row.title, heading, passage, guess);
                copy.row(&row.id, *ordinal, &terms);
            }
        }
        transaction.copy_in(COPY_TERMS, &copy.finish()).await?;
    }
}
