//! Documents in: checked, chunked, embedded, stored.

use std::{collections::HashMap, fmt::Write as _};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::fields::{DocumentId, Metadata, nul};
use crate::{
    Error,
    database::{Database, DatabaseError, Statement},
    embedder::{Embedder, EmbedderError, Kind},
    error::FieldError,
};

/// A document as a caller sends it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentInput {
    /// The caller's id; without one, the content's hash is the id.
    pub id: Option<String>,
    /// At most [`Batch::MAX_TITLE_CHARACTERS`] characters.
    #[serde(default)]
    pub title: String,
    /// The text to search, of any length that fits the body.
    pub content: String,
    /// Anything that searches may filter by.
    #[serde(default)]
    pub metadata: Metadata,
}

/// Documents that can be stored: every limit holds, and every id is there.
#[derive(Clone, Debug)]
pub struct Batch {
    documents: Vec<CheckedDocument>,
}

/// A document whose fields all hold.
#[derive(Clone, Debug)]
pub(super) struct CheckedDocument {
    pub(super) id: DocumentId,
    pub(super) title: String,
    pub(super) content: String,
    pub(super) metadata: Metadata,
    pub(super) hash: Vec<u8>,
}

/// A document with its passages and their embeddings.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) document: CheckedDocument,
    pub(super) chunks: Vec<String>,
    pub(super) embeddings: Vec<Vec<f32>>,
}

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

impl Batch {
    /// Documents of the largest batch.
    pub const MAX_DOCUMENTS: usize = 100;
    /// Characters of the longest title.
    pub const MAX_TITLE_CHARACTERS: usize = 1_000;

    /// Checks the documents of a request body's `documents`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry a field: `documents[2].title`.
    pub fn parse(documents: Vec<DocumentInput>) -> Result<Self, Error> {
        if !(1..=Self::MAX_DOCUMENTS).contains(&documents.len()) {
            let detail = format!(
                "has {} documents; 1 to {} are allowed",
                documents.len(),
                Self::MAX_DOCUMENTS
            );
            return Err(FieldError::new("documents", detail).into());
        }
        let mut errors = Vec::new();
        let mut checked = Vec::with_capacity(documents.len());
        for (index, document) in documents.into_iter().enumerate() {
            match CheckedDocument::parse(document, &format!("documents[{index}].")) {
                Ok(document) => checked.push(document),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() {
            errors = contradictions(&checked);
        }
        if errors.is_empty() {
            Ok(Self { documents: checked })
        } else {
            Err(Error::Invalid(errors))
        }
    }

    /// Checks a single document whose id is `id`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with one entry a field.
    pub fn parse_one(id: String, document: DocumentInput) -> Result<Self, Error> {
        if let Some(other) = document.id.filter(|other| *other != id) {
            return Err(
                FieldError::new("id", format!("is {other:?}, but the path says {id:?}")).into(),
            );
        }
        let document = DocumentInput {
            id: Some(id),
            ..document
        };
        CheckedDocument::parse(document, "")
            .map(|document| Self {
                documents: vec![document],
            })
            .map_err(Error::Invalid)
    }
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
    let mut written = write(database, model, &prepared).await?;
    Ok(outcomes(batch, &stored, &mut written))
}

impl Prepared {
    pub(super) fn new(document: CheckedDocument) -> Self {
        Self {
            document,
            chunks: Vec::new(),
            embeddings: Vec::new(),
        }
    }

    /// Chunks and embeds documents; passages of all of them share batches.
    ///
    /// # Errors
    /// When the tokenizer or the inference fails.
    pub fn embed(embedder: &Embedder, documents: &mut [Self]) -> Result<(), EmbedderError> {
        for prepared in &mut *documents {
            prepared.chunks = embedder.chunks(&prepared.document.content)?;
        }
        let texts: Vec<&str> = documents
            .iter()
            .flat_map(|prepared| prepared.chunks.iter().map(String::as_str))
            .collect();
        let mut embeddings = embedder.embed(Kind::Passage, &texts)?.into_iter();
        for prepared in documents {
            prepared.embeddings = embeddings.by_ref().take(prepared.chunks.len()).collect();
        }
        Ok(())
    }
}

impl CheckedDocument {
    pub(super) fn parse(input: DocumentInput, path: &str) -> Result<Self, Vec<FieldError>> {
        let field = |name: &str| format!("{path}{name}");
        let mut errors = Vec::new();
        let title_characters = input.title.chars().count();
        if title_characters > Batch::MAX_TITLE_CHARACTERS {
            let detail = format!(
                "has {title_characters} characters; the limit is {}",
                Batch::MAX_TITLE_CHARACTERS
            );
            errors.push(FieldError::new(field("title"), detail));
        }
        if input.content.trim().is_empty() {
            errors.push(FieldError::new(
                field("content"),
                "must not be empty or blank",
            ));
        }
        errors.extend(nul(&input.title, &field("title")));
        errors.extend(nul(&input.content, &field("content")));
        errors.extend(input.metadata.unstorable(&field("metadata")));
        let hash = hash(&input);
        let id = input.id.clone().unwrap_or_else(|| hex(&hash));
        match DocumentId::parse(id, &field("id")) {
            Ok(id) if errors.is_empty() => Ok(Self {
                id,
                title: input.title,
                content: input.content,
                metadata: input.metadata,
                hash,
            }),
            Ok(_) => Err(errors),
            Err(error) => {
                errors.push(error);
                Err(errors)
            }
        }
    }
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

/// Stores documents in one statement and says of each whether it is new.
pub(super) async fn write(
    database: &Database,
    model: &str,
    prepared: &[Prepared],
) -> Result<HashMap<String, Outcome>, DatabaseError> {
    let rows: Vec<(String, bool)> = database
        .fetch_all(upsert_statement(model, prepared))
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
    Ok(prepared.iter().map(outcome).collect())
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
    let mut documents: Vec<i32> = Vec::new();
    let mut ordinals: Vec<i32> = Vec::new();
    let mut contents: Vec<String> = Vec::new();
    let mut embeddings: Vec<f32> = Vec::new();
    for (position, prepared) in (1..).zip(prepared) {
        for (ordinal, (chunk, embedding)) in
            (0..).zip(prepared.chunks.iter().zip(&prepared.embeddings))
        {
            documents.push(position);
            ordinals.push(ordinal);
            contents.push(chunk.clone());
            embeddings.extend_from_slice(embedding);
        }
    }
    Statement::upsert(
        "SELECT document_id, created FROM rappel.upsert($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(model.to_owned())
    .bind(column(|document| document.id.as_str()))
    .bind(column(|document| &document.title))
    .bind(column(|document| &document.content))
    .bind(column(|document| document.metadata.as_json()))
    .bind(hashes)
    .bind(documents)
    .bind(ordinals)
    .bind(contents)
    .bind(embeddings)
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

/// Names each document whose id an earlier one has with other content: which of them should win
/// cannot be told. The same document twice is harmless.
fn contradictions(documents: &[CheckedDocument]) -> Vec<FieldError> {
    let mut first: HashMap<&DocumentId, usize> = HashMap::new();
    let mut errors = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let earlier = *first.entry(&document.id).or_insert(index);
        if documents[earlier].hash != document.hash {
            let detail =
                format!("is also the id of documents[{earlier}], which is another document");
            errors.push(FieldError::new(format!("documents[{index}].id"), detail));
        }
    }
    errors
}

/// SHA-256 of title, content and metadata, each preceded by its length so that no text can move
/// from one field to the next unnoticed.
fn hash(input: &DocumentInput) -> Vec<u8> {
    let mut hash = Sha256::new();
    for field in [&input.title, &input.content, input.metadata.as_json()] {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field.as_bytes());
    }
    hash.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
