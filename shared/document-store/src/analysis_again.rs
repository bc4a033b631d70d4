//! Analyses the words of stored passages again.

use analysis::Guess;
use database::{DatabaseError, Statement, Transaction};

use super::{Metadata, prepared::chunk_terms, terms::TermColumns};

/// Documents to read at a time.
const BATCH: i32 = 200;

/// A document with its passages.
#[derive(database::FromRow)]
struct Row {
    tenant: String,
    id: String,
    title: String,
    content: String,
    metadata: String,
    /// Absent, as are the next two, if it has no passages.
    ordinals: Option<Vec<i32>>,
    headings: Option<Vec<String>>,
    passages: Option<Vec<String>>,
}

/// Replaces the terms of every stored passage, of all tenants, with those of this build's analysis.
///
/// # Errors
/// When the database fails.
pub async fn analyse_again(transaction: &mut Transaction) -> Result<(), DatabaseError> {
    // Whoever changes a document locks its row before its terms: it has to wait before that.
    transaction
        .run_script("LOCK TABLE rappel.documents IN EXCLUSIVE MODE; TRUNCATE rappel.chunk_terms")
        .await?;
    let mut last = (String::new(), String::new());
    loop {
        let statement = Statement::read(
            "SELECT d.tenant, d.id, d.title, d.content, d.metadata::text AS metadata, c.ordinals, c.headings, c.passages
             FROM (
                 SELECT * FROM rappel.documents AS d
                 WHERE (d.tenant, d.id) > ($1, $2) ORDER BY d.tenant, d.id LIMIT $3
             ) AS d
             CROSS JOIN LATERAL (
                 SELECT array_agg(c.ordinal) AS ordinals, array_agg(c.heading) AS headings, array_agg(c.content) AS passages
                 FROM rappel.chunks AS c WHERE c.tenant = d.tenant AND c.document_id = d.id
             ) AS c
             ORDER BY d.tenant, d.id",
        )
        .bind(last.0.clone())
        .bind(last.1.clone())
        .bind(BATCH);
        let rows: Vec<Row> = transaction.fetch_all(statement).await?;
        let Some(row) = rows.last() else {
            return Ok(());
        };
        last = (row.tenant.clone(), row.id.clone());
        for rows in rows.chunk_by(|one, next| one.tenant == next.tenant) {
            if let Some(statement) = terms_statement(rows) {
                transaction.fetch_all::<(String,)>(statement).await?;
            }
        }
    }
}

/// Stores the terms of documents of one tenant.
fn terms_statement(rows: &[Row]) -> Option<Statement> {
    let tenant = rows.first()?.tenant.clone();
    let mut columns = TermColumns::default();
    for (position, row) in (1..).zip(rows) {
        let metadata: Metadata = serde_json::from_str(&row.metadata).unwrap_or_default();
        let named = metadata.language();
        let guess = Guess::of_document(named.as_deref(), &row.title, &row.content);
        let passages = row.ordinals.iter().flatten();
        let passages = passages.zip(row.headings.iter().flatten());
        for ((ordinal, heading), passage) in passages.zip(row.passages.iter().flatten()) {
            let terms = chunk_terms(&row.title, heading, passage, guess);
            columns.push(position, *ordinal, &terms);
        }
    }
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let statement = Statement::write(concat!(
        "SELECT ",
        schema::function!("store_terms"),
        "($1, $2, $3, $4, $5, $6, $7, $8)::text"
    ))
    .bind(tenant)
    .bind(ids)
    .bind(std::mem::take(&mut columns.documents))
    .bind(std::mem::take(&mut columns.ordinals));
    Some(columns.bind(statement))
}
