//! Documents in: what is new is prepared and stored.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    batch::{Batch, CheckedDocument},
    fields::DocumentId,
    prepared::{Prepared, PreparedChunk},
};
use crate::{
    Error,
    database::{Database, DatabaseError, Statement, Transaction},
};

/// What became of one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The document's id.
    pub id: DocumentId,
    /// What was done.
    pub status: Status,
    /// How many chunks it has now.
    pub chunks: i64,
}

/// What an upsert did with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// No document had this id.
    Created,
    /// The document was another one, and was replaced.
    Updated,
    /// The document was the same already; nothing was embedded.
    Unchanged,
}

/// Stores a batch: what is stored with the same hash is left alone, the rest is chunked and
/// embedded by `embed`, then stored in one statement. Outcomes are in the order of the batch.
///
/// Round trips: 1 when nothing changed, else 2.
///
/// # Errors
/// When the embedding or the database fails; then nothing of the batch is stored.
pub async fn upsert<F>(
    database: &Database,
    model: &str,
    batch: Batch,
    embed: F,
) -> Result<Vec<Outcome>, Error>
where
    F: AsyncFnOnce(Vec<Prepared>) -> Result<Vec<Prepared>, Error>,
{
    let stored = stored(database, &batch.documents).await?;
    let mut fresh: HashMap<DocumentId, Prepared> = HashMap::new();
    for document in &batch.documents {
        if stored
            .get(document.id.as_str())
            .is_none_or(|stored| stored.content_hash != document.hash)
        {
            fresh.insert(document.id.clone(), Prepared::new(document.clone()));
        }
    }
    if fresh.is_empty() {
        return Ok(outcomes(batch, &stored, &mut HashMap::new()));
    }
    let prepared = embed(fresh.into_values().collect()).await?;
    let (mut written, repeated) = write(database, model, &prepared).await?;
    if repeated {
        // The first try may have stored what the second one found: it was not there before.
        for outcome in written.values_mut() {
            if !stored.contains_key(outcome.id.as_str()) {
                outcome.status = Status::Created;
            }
        }
    }
    Ok(outcomes(batch, &stored, &mut written))
}

/// A stored document, as far as an upsert has to know it.
#[derive(sqlx::FromRow)]
pub(super) struct Stored {
    pub(super) id: String,
    pub(super) content_hash: Vec<u8>,
    pub(super) chunks: i64,
}

/// Reads what is stored under the ids of `documents`.
pub(super) async fn stored(
    database: &Database,
    documents: &[CheckedDocument],
) -> Result<HashMap<String, Stored>, DatabaseError> {
    let ids: Vec<String> = documents
        .iter()
        .map(|document| document.id.as_str().to_owned())
        .collect();
    let statement = Statement::read(
        "SELECT d.id, d.content_hash, (SELECT count(*) FROM rappel.chunks AS c WHERE c.document_id = d.id) AS chunks
         FROM rappel.documents AS d
         WHERE d.id = ANY ($1)",
    )
    .bind(ids);
    let rows: Vec<Stored> = database.fetch_all(statement).await?;
    Ok(rows.into_iter().map(|row| (row.id.clone(), row)).collect())
}

/// Stores documents in one statement and says of each whether it is new; and whether the statement was
/// sent again after its connection was lost, so that what is not new may be the first try's.
pub(super) async fn write(
    database: &Database,
    model: &str,
    prepared: &[Prepared],
) -> Result<(HashMap<String, Outcome>, bool), DatabaseError> {
    let (rows, repeated): (Vec<(String, bool)>, bool) = database
        .fetch_again(upsert_statement(model, prepared))
        .await?;
    let created: HashMap<String, bool> = rows.into_iter().collect();
    let outcome = |prepared: &Prepared| {
        let id = prepared.document.id.clone();
        let status = if created.get(id.as_str()) == Some(&true) {
            Status::Created
        } else {
            Status::Updated
        };
        let chunks = i64::try_from(prepared.chunks.len()).unwrap_or(i64::MAX);
        (id.as_str().to_owned(), Outcome { id, status, chunks })
    };
    Ok((prepared.iter().map(outcome).collect(), repeated))
}

/// Stores embedded documents as a part of `transaction`.
///
/// # Errors
/// When the database fails.
pub async fn upsert_within(
    transaction: &mut Transaction,
    model: &str,
    prepared: &[Prepared],
) -> Result<(), DatabaseError> {
    transaction
        .fetch_all::<(String, bool)>(upsert_statement(model, prepared))
        .await
        .map(drop)
}

fn upsert_statement(model: &str, prepared: &[Prepared]) -> Statement {
    let column = |value: fn(&CheckedDocument) -> &str| -> Vec<String> {
        prepared
            .iter()
            .map(|prepared| value(&prepared.document).to_owned())
            .collect()
    };
    let hashes: Vec<Vec<u8>> = prepared
        .iter()
        .map(|prepared| prepared.document.hash.clone())
        .collect();
    let mut chunks = ChunkColumns::default();
    for (position, prepared) in (1..).zip(prepared) {
        for (ordinal, chunk) in (0..).zip(&prepared.chunks) {
            chunks.push(position, ordinal, chunk);
        }
    }
    let statement = Statement::upsert(concat!(
        "SELECT document_id, created FROM ",
        function!("upsert"),
        "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    ))
    .bind(model.to_owned())
    .bind(column(|document| document.id.as_str()))
    .bind(column(|document| &document.title))
    .bind(column(|document| &document.content))
    .bind(column(|document| document.metadata.as_json()))
    .bind(hashes);
    chunks.bind(statement)
}

/// The chunks of all documents of a batch, column by column, as `upsert` takes them.
#[derive(Default)]
struct ChunkColumns {
    documents: Vec<i32>,
    ordinals: Vec<i32>,
    starts: Vec<i32>,
    contents: Vec<String>,
    embeddings: Vec<f32>,
    lengths: Vec<i32>,
    distinct: Vec<i32>,
    terms: Vec<String>,
    frequencies: Vec<i16>,
}

impl ChunkColumns {
    fn push(&mut self, document: i32, ordinal: i32, chunk: &PreparedChunk) {
        self.documents.push(document);
        self.ordinals.push(ordinal);
        self.starts.push(chunk.start);
        self.contents.push(chunk.content.clone());
        self.embeddings.extend_from_slice(&chunk.embedding);
        self.lengths.push(chunk.terms.length);
        self.distinct
            .push(i32::try_from(chunk.terms.frequencies.len()).unwrap_or(i32::MAX));
        for (term, frequency) in &chunk.terms.frequencies {
            self.terms.push(term.clone());
            self.frequencies.push(*frequency);
        }
    }

    fn bind(self, statement: Statement) -> Statement {
        statement
            .bind(self.documents)
            .bind(self.ordinals)
            .bind(self.starts)
            .bind(self.contents)
            .bind(self.embeddings)
            .bind(self.lengths)
            .bind(self.distinct)
            .bind(self.terms)
            .bind(self.frequencies)
    }
}

fn outcomes(
    batch: Batch,
    stored: &HashMap<String, Stored>,
    written: &mut HashMap<String, Outcome>,
) -> Vec<Outcome> {
    let mut last: HashMap<DocumentId, i64> = HashMap::new();
    let outcome = |document: CheckedDocument| {
        let outcome = written
            .remove(document.id.as_str())
            .unwrap_or_else(|| Outcome {
                id: document.id.clone(),
                status: Status::Unchanged,
                // Either it was stored before, or it stands earlier in this batch.
                chunks: stored
                    .get(document.id.as_str())
                    .filter(|stored| stored.content_hash == document.hash)
                    .map(|stored| stored.chunks)
                    .or_else(|| last.get(&document.id).copied())
                    .unwrap_or_default(),
            });
        last.insert(document.id, outcome.chunks);
        outcome
    };
    batch.documents.into_iter().map(outcome).collect()
}
