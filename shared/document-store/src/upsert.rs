//! Stores new and changed documents.

use std::collections::HashMap;

use database::{Database, DatabaseError, Statement, Transaction};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    batch::{Batch, CheckedDocument},
    compare::{Compared, Relabelled},
    etag::Etag,
    id::DocumentId,
    prepared::{Prepared, PreparedChunk},
    retry::retried,
    terms::TermColumns,
    visibility::{Visibility, VisibilityParameters},
};

/// The outcome for one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Outcome {
    /// The document's id.
    pub id: DocumentId,
    /// The status.
    pub status: Status,
    /// How many chunks it has now.
    pub chunks: i64,
    /// The entity tag of this state of the document.
    #[serde(skip)]
    pub etag: Etag,
}

/// What an upsert did with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "OutcomeStatus")]
pub enum Status {
    /// No document had this id.
    Created,
    /// The document differed, and was replaced.
    Updated,
    /// The document was the same; nothing was embedded.
    Unchanged,
}

/// Stores a batch: skips documents stored with the same hash, updates the metadata if only they differ, and has
/// `embed` chunk and embed the rest. Outcomes are in the order of the batch.
///
/// Round trips: 1 when nothing changed, 2 when texts or only metadata changed, 5 for both in one batch.
///
/// # Errors
/// When the embedding or the database fails; then nothing of the batch is stored.
pub async fn upsert<F, R, E>(
    database: &Database,
    visibility: &Visibility,
    model: &str,
    batch: Batch,
    embed: F,
) -> Result<Vec<Outcome>, E>
where
    F: Fn(Vec<Prepared>) -> R,
    R: Future<Output = Result<Vec<Prepared>, E>>,
    E: From<DatabaseError>,
{
    let documents: Vec<Prepared> = batch.documents.into_iter().map(Prepared::new).collect();
    let ids: Vec<DocumentId> = documents
        .iter()
        .map(|prepared| prepared.document.id.clone())
        .collect();
    let mut compared = Compared::with_stored(database, &visibility.parameters(), documents).await?;
    loop {
        compared = compared.embedded(&embed).await?;
        match compared.write_retrying(database, model).await? {
            Some(written) => return Ok(outcomes(ids, written, &compared)),
            None => compared = compared.with_all_texts(),
        }
    }
}

/// Stores embedded documents, all or nothing. False, and nothing stored, if another writer meanwhile changed one that only
/// needs other metadata: `compared` must be embedded [with all texts](Compared::with_all_texts) and loaded again.
///
/// # Errors
/// When the database fails.
pub async fn load(
    database: &Database,
    model: &str,
    compared: &Compared,
) -> Result<bool, DatabaseError> {
    let written = compared.write_retrying(database, model).await?;
    Ok(written.is_some())
}

impl Compared {
    /// Stores the documents, all or nothing. `None`, and nothing stored, if another writer meanwhile changed one that
    /// only needs other metadata.
    async fn write(
        &self,
        database: &Database,
        model: &str,
    ) -> Result<Option<Vec<Outcome>>, DatabaseError> {
        let embedded: Vec<&Prepared> = self.new.iter().chain(&self.changed).collect();
        if self.relabelled.is_empty() {
            return self
                .write_embedded(database, model, &embedded)
                .await
                .map(Some);
        }
        if embedded.is_empty() {
            let updated = database
                .fetch_all(relabel_statement(&self.visibility, &self.relabelled))
                .await?;
            return Ok(self.relabelled(&updated));
        }
        let mut transaction = database.begin().await?;
        let written = self.write_within(&mut transaction, model).await?;
        if written.is_some() {
            transaction.commit().await?;
        }
        Ok(written)
    }

    /// The same, with retries after conflicts with other transactions.
    pub(super) async fn write_retrying(
        &self,
        database: &Database,
        model: &str,
    ) -> Result<Option<Vec<Outcome>>, DatabaseError> {
        retried(|| self.write(database, model)).await
    }

    /// The same within `transaction`, which must not be committed after `None`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn write_within(
        &self,
        transaction: &mut Transaction,
        model: &str,
    ) -> Result<Option<Vec<Outcome>>, DatabaseError> {
        let embedded: Vec<&Prepared> = self.new.iter().chain(&self.changed).collect();
        let mut outcomes = Vec::new();
        if !embedded.is_empty() {
            let rows = transaction
                .fetch_all(upsert_statement(&self.visibility, model, &embedded))
                .await?;
            outcomes = embedded_outcomes(&embedded, rows);
        }
        if !self.relabelled.is_empty() {
            let updated = transaction
                .fetch_all(relabel_statement(&self.visibility, &self.relabelled))
                .await?;
            match self.relabelled(&updated) {
                Some(relabelled) => outcomes.extend(relabelled),
                None => return Ok(None),
            }
        }
        Ok(Some(outcomes))
    }

    /// Stores embedded documents in one statement and returns for each whether it is new. If the statement was sent
    /// again after a lost connection, the second try may find documents of the first: those that were not there before
    /// all count as new.
    async fn write_embedded(
        &self,
        database: &Database,
        model: &str,
        documents: &[&Prepared],
    ) -> Result<Vec<Outcome>, DatabaseError> {
        if documents.is_empty() {
            return Ok(Vec::new());
        }
        let statement = upsert_statement(&self.visibility, model, documents);
        let (rows, repeated) = database.fetch_again(statement).await?;
        let mut outcomes = embedded_outcomes(documents, rows);
        if repeated {
            for outcome in outcomes.iter_mut().take(self.new.len()) {
                outcome.status = Status::Created;
            }
        }
        Ok(outcomes)
    }

    /// The outcomes for the documents with other metadata, if all of them were `updated`.
    fn relabelled(&self, updated: &[(String,)]) -> Option<Vec<Outcome>> {
        let outcome = |relabelled: &Relabelled| Outcome {
            id: relabelled.document.id.clone(),
            status: Status::Updated,
            chunks: relabelled.chunks,
            etag: Etag::of(&relabelled.document.hash),
        };
        let all = updated.len() == self.relabelled.len();
        all.then(|| self.relabelled.iter().map(outcome).collect())
    }
}

fn embedded_outcomes(documents: &[&Prepared], rows: Vec<(String, bool)>) -> Vec<Outcome> {
    let created: HashMap<String, bool> = rows.into_iter().collect();
    let outcome = |prepared: &&Prepared| Outcome {
        id: prepared.document.id.clone(),
        status: if created.get(prepared.id()) == Some(&true) {
            Status::Created
        } else {
            Status::Updated
        },
        chunks: i64::try_from(prepared.chunks.len()).unwrap_or(i64::MAX),
        etag: Etag::of(&prepared.document.hash),
    };
    documents.iter().map(outcome).collect()
}

/// Updates only the metadata of stored documents: of all, or of none if another writer has changed one since the
/// comparison.
pub(super) fn relabel_statement(
    visibility: &VisibilityParameters,
    relabelled: &[Relabelled],
) -> Statement {
    let texts = |value: fn(&CheckedDocument) -> &str| -> Vec<&str> {
        relabelled
            .iter()
            .map(|relabelled| value(&relabelled.document))
            .collect()
    };
    let hashes =
        |value: fn(&Relabelled) -> &[u8]| -> Vec<&[u8]> { relabelled.iter().map(value).collect() };
    let text_hashes = relabelled
        .iter()
        .map(|relabelled| relabelled.document.text_hash());
    Statement::idempotent_write(concat!(
        "SELECT ",
        schema::function!("relabel"),
        "($1, $2::jsonb, $3, $4, $5, $6, $7)"
    ))
    .bind(visibility.tenant.clone())
    .bind(visibility.filter.clone())
    .bind(texts(|document| document.id.as_str()))
    .bind(texts(|document| document.metadata.as_json()))
    .bind(hashes(|relabelled| &relabelled.document.hash))
    .bind(text_hashes.collect::<Vec<_>>())
    .bind(hashes(|relabelled| &relabelled.stored))
}

fn upsert_statement(
    visibility: &VisibilityParameters,
    model: &str,
    documents: &[&Prepared],
) -> Statement {
    let checked = || documents.iter().map(|prepared| &prepared.document);
    let column =
        |value: fn(&CheckedDocument) -> &str| -> Vec<&str> { checked().map(value).collect() };
    let hashes: Vec<&[u8]> = checked().map(|document| document.hash.as_slice()).collect();
    let text_hashes: Vec<Vec<u8>> = checked().map(CheckedDocument::text_hash).collect();
    let mut chunks = ChunkColumns::default();
    for (position, prepared) in (1..).zip(documents) {
        for (ordinal, chunk) in (0..).zip(&prepared.chunks) {
            chunks.push(position, ordinal, chunk);
        }
    }
    let statement = Statement::idempotent_write(concat!(
        "SELECT document_id, created FROM ",
        schema::function!("upsert"),
        "($1, $2::jsonb, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    ))
    .bind(visibility.tenant.clone())
    .bind(visibility.filter.clone())
    .bind(visibility.max_documents)
    .bind(model)
    .bind(column(|document| document.id.as_str()))
    .bind(column(|document| &document.title))
    .bind(column(|document| &document.content))
    .bind(column(|document| document.metadata.as_json()))
    .bind(hashes)
    .bind(text_hashes);
    chunks.bind(statement)
}

/// The chunks of a batch, column by column, for `upsert`.
#[derive(Default)]
struct ChunkColumns<'a> {
    starts: Vec<i32>,
    headings: Vec<&'a str>,
    contents: Vec<&'a str>,
    embeddings: Vec<f32>,
    terms: TermColumns,
}

impl<'a> ChunkColumns<'a> {
    fn push(&mut self, document: i32, ordinal: i32, chunk: &'a PreparedChunk) {
        self.starts.push(chunk.start);
        self.headings.push(&chunk.heading);
        self.contents.push(&chunk.content);
        self.embeddings.extend_from_slice(&chunk.embedding);
        self.terms.push(document, ordinal, &chunk.terms);
    }

    fn bind(mut self, statement: Statement) -> Statement {
        let statement = statement
            .bind(std::mem::take(&mut self.terms.documents))
            .bind(std::mem::take(&mut self.terms.ordinals))
            .bind(self.starts)
            .bind(self.headings)
            .bind(self.contents)
            .bind(self.embeddings);
        self.terms.bind(statement)
    }
}

/// The outcomes in the order of `ids`; a repeated id is unchanged the second time.
pub(super) fn outcomes(
    ids: Vec<DocumentId>,
    written: Vec<Outcome>,
    compared: &Compared,
) -> Vec<Outcome> {
    let mut written: HashMap<String, Outcome> = written
        .into_iter()
        .map(|outcome| (outcome.id.as_str().to_owned(), outcome))
        .collect();
    let mut known = compared.unchanged.clone();
    let outcome = |id: DocumentId| {
        let outcome = written.remove(id.as_str()).unwrap_or_else(|| {
            let (chunks, etag) = known.get(id.as_str()).cloned().unwrap_or_default();
            Outcome {
                id,
                status: Status::Unchanged,
                chunks,
                etag,
            }
        });
        let state = (outcome.chunks, outcome.etag.clone());
        known.insert(outcome.id.as_str().to_owned(), state);
        outcome
    };
    ids.into_iter().map(outcome).collect()
}
