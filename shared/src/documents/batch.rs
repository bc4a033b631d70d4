//! Documents as callers send them, and the limits that they keep.

use std::{collections::HashMap, fmt::Write as _};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::fields::{DocumentId, Metadata, nul};
use crate::{Error, error::FieldError};

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
    pub(super) documents: Vec<CheckedDocument>,
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

/// What chunks and embeddings are made of; with another number, every document that is stored again
/// is chunked and embedded again. 2: the title is embedded with each chunk. 3: so is its heading.
const RECIPE: [u8; 1] = [3];

/// SHA-256 of the recipe, title, content and metadata, each preceded by its length so that no text can move
/// from one field to the next unnoticed.
fn hash(input: &DocumentInput) -> Vec<u8> {
    let mut hash = Sha256::new();
    let fields = [&input.title, &input.content, input.metadata.as_json()];
    for field in [RECIPE.as_slice()]
        .into_iter()
        .chain(fields.map(str::as_bytes))
    {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
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
