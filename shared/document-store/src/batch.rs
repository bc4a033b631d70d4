//! The limits of documents.

use std::collections::HashMap;

use json::FieldError;

use super::{
    fields::nul,
    hash,
    id::DocumentId,
    input::DocumentInput,
    metadata::Metadata,
    text::{ANSWER_LIMIT, answered, blank, normalised},
};

/// Valid documents with ids.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) documents: Vec<CheckedDocument>,
}

/// A valid document.
#[derive(Clone, Debug)]
pub(super) struct CheckedDocument {
    pub(super) id: DocumentId,
    /// In Unicode's normal form C, as the texts of filters are.
    pub(super) title: String,
    pub(super) content: String,
    pub(super) metadata: Metadata,
    pub(super) hash: Vec<u8>,
}

impl Batch {
    /// The most documents of a batch.
    pub const MAX_DOCUMENTS: usize = 100;
    /// The most characters of a title.
    pub const MAX_TITLE_CHARACTERS: usize = 1_000;

    /// Checks the documents of a request body's `documents`.
    ///
    /// # Errors
    /// One entry per invalid field: `documents[2].title`.
    pub fn parse(documents: Vec<DocumentInput>) -> Result<Self, Vec<FieldError>> {
        if !(1..=Self::MAX_DOCUMENTS).contains(&documents.len()) {
            let detail = format!(
                "has {} documents; 1 to {} are allowed",
                documents.len(),
                Self::MAX_DOCUMENTS
            );
            return Err(vec![FieldError::new("documents", detail)]);
        }
        let mut errors = Vec::new();
        let mut checked = Vec::with_capacity(documents.len());
        for (index, document) in documents.into_iter().enumerate() {
            let path = format!("documents[{index}].");
            errors.extend(document.unknown(&path));
            match CheckedDocument::parse(document, &path) {
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
            Err(errors)
        }
    }

    /// Checks a single document with the `id` of the path.
    ///
    /// # Errors
    /// One entry per invalid field.
    pub fn parse_one(id: &str, mut document: DocumentInput) -> Result<Self, Vec<FieldError>> {
        let id = DocumentId::parse(id, "id").map_err(|error| vec![error])?;
        if let Some(other) = document.id.take()
            && DocumentId::parse(&other, "id").as_ref() != Ok(&id)
        {
            let detail = format!("is {other:?}, but the path says {:?}", id.as_str());
            return Err(vec![FieldError::new("id", detail)]);
        }
        let mut errors: Vec<FieldError> = document.unknown("").collect();
        match CheckedDocument::with_id(Some(Ok(id)), document, "") {
            Ok(document) if errors.is_empty() => Ok(Self {
                documents: vec![document],
            }),
            Ok(_) => Err(errors),
            Err(found) => {
                errors.extend(found);
                Err(errors)
            }
        }
    }
}

impl CheckedDocument {
    /// The stored hash of the text.
    pub(super) fn text_hash(&self) -> Vec<u8> {
        self.text_hash_with(&self.hash)
    }

    /// The same for a document with this text and another hash as a whole.
    pub(super) fn text_hash_with(&self, document: &[u8]) -> Vec<u8> {
        let language = self.metadata.language();
        hash::text(&self.title, &self.content, language.as_deref(), document)
    }

    /// Checks a document with its own id, if any.
    pub(super) fn parse(mut input: DocumentInput, path: &str) -> Result<Self, Vec<FieldError>> {
        let id = input.id.take();
        let id = id.map(|id| DocumentId::parse_new(&id, &format!("{path}id")));
        Self::with_id(id, input, path)
    }

    fn with_id(
        id: Option<Result<DocumentId, FieldError>>,
        input: DocumentInput,
        path: &str,
    ) -> Result<Self, Vec<FieldError>> {
        let field = |name: &str| format!("{path}{name}");
        let content_field = field(if input.is_base64 {
            "content_base64"
        } else {
            "content"
        });
        let sent = input.title.unwrap_or_default();
        let title = normalised(&sent).into_owned();
        let metadata = input.metadata.unwrap_or_default();
        let mut errors = Vec::new();
        errors.extend(long(&title, &field("title")));
        errors.extend(nul(&title, &field("title")));
        errors.extend(metadata.unstorable(&field("metadata")));
        let Some(content) = input.content else {
            let detail = match input.content_base64 {
                None => "is missing",
                Some(_) => {
                    "is missing: content_base64 is read by POST and PUT /documents, not in lines of files"
                }
            };
            errors.push(FieldError::new(field("content"), detail));
            errors.extend(id.and_then(Result::err));
            return Err(errors);
        };
        errors.extend(nul(&content, &content_field).or_else(|| blank(&content, &content_field)));
        let hashed = |title: &str| hash::document(title, &content, &metadata);
        let hash = hashed(&title);
        let id = id.unwrap_or_else(|| {
            // Earlier versions stored the title as it was sent, and made the id of that.
            let as_sent = (sent != title).then(|| hashed(&sent));
            let id = hash::hex(as_sent.as_ref().unwrap_or(&hash));
            DocumentId::parse(&id, &field("id"))
        });
        let id = id.map_err(|error| errors.push(error)).ok();
        errors.extend(unanswerable(&title, &content, &metadata, &content_field));
        match id {
            Some(id) if errors.is_empty() => Ok(Self {
                id,
                title,
                content,
                metadata,
                hash,
            }),
            _ => Err(errors),
        }
    }
}

fn long(title: &str, field: &str) -> Option<FieldError> {
    let characters = title.chars().count();
    let detail = || {
        format!(
            "has {characters} characters; the limit is {}",
            Batch::MAX_TITLE_CHARACTERS
        )
    };
    (characters > Batch::MAX_TITLE_CHARACTERS).then(|| FieldError::new(field, detail()))
}

/// Refuses a document that is too large for a response.
fn unanswerable(
    title: &str,
    content: &str,
    metadata: &Metadata,
    field: &str,
) -> Option<FieldError> {
    /// The id, the times and the names of the fields.
    const REST: usize = 4 * 1024;
    // Postgres writes a space after each comma and colon of the metadata.
    let bytes = answered(title) + answered(content) + 2 * answered(metadata.as_json()) + REST;
    let detail = || {
        format!(
            "makes the document {bytes} bytes long as JSON, which escapes quotation marks, backslashes and line \
             breaks; at most {ANSWER_LIMIT} are allowed: split it"
        )
    };
    (bytes > ANSWER_LIMIT).then(|| FieldError::new(field, detail()))
}

/// Refuses each document that has the id of an earlier one with other content: it is unclear which should win. The
/// same document twice is harmless.
fn contradictions(documents: &[CheckedDocument]) -> Vec<FieldError> {
    let mut first: HashMap<&DocumentId, usize> = HashMap::new();
    let mut errors = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let earlier = *first.entry(&document.id).or_insert(index);
        if documents[earlier].hash != document.hash {
            let detail = format!("is also the id of documents[{earlier}], which differs");
            errors.push(FieldError::new(format!("documents[{index}].id"), detail));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(title: &str) -> CheckedDocument {
        let input = DocumentInput {
            title: Some(title.to_owned()),
            content: Some("Le texte.".to_owned()),
            ..DocumentInput::default()
        };
        CheckedDocument::parse(input, "").expect(title)
    }

    #[test]
    fn a_title_has_one_form_and_an_id_of_a_hash_stays() {
        let hash = |title: &str| hash::document(title, "Le texte.", &Metadata::default());
        let (composed, decomposed) = ("\u{e9}t\u{e9}", "e\u{301}te\u{301}");
        let (one, other) = (checked(composed), checked(decomposed));
        assert_eq!(one.title, composed);
        assert_eq!(other.title, composed);
        assert_eq!(one.hash, hash(composed), "as before titles had a form");
        assert_eq!(other.hash, one.hash);
        assert_eq!(one.id.as_str(), hash::hex(&hash(composed)));
        assert_eq!(other.id.as_str(), hash::hex(&hash(decomposed)));
        let longest = "e\u{301}".repeat(Batch::MAX_TITLE_CHARACTERS);
        let stored = checked(&longest).title.chars().count();
        assert_eq!(stored, Batch::MAX_TITLE_CHARACTERS);
    }
}
