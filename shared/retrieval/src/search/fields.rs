//! The fields of hits to send.

use document_store::metadata_fields;
use json::FieldError;
use schemars::{Schema, SchemaGenerator, json_schema};

/// The requested fields of hits.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// `None` for all.
    names: Option<Vec<String>>,
    /// The members of the metadata; `None` for all.
    metadata: Option<Vec<String>>,
}

impl Fields {
    /// The fields that a hit always has.
    pub(super) const ALWAYS: [&str; 2] = ["document_id", "chunk"];

    /// The optional fields.
    pub const NAMES: [&str; 11] = [
        "title",
        "heading",
        "content",
        "metadata",
        "distance",
        "keyword_score",
        "coverage",
        "score",
        "relevance",
        "rerank_score",
        "explanation",
    ];

    /// Every field that a request may name.
    fn known() -> impl Iterator<Item = &'static str> {
        Self::ALWAYS.into_iter().chain(Self::NAMES)
    }

    /// The schema of the request's list.
    pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
        let known: Vec<&str> = Self::known().collect();
        json_schema!({ "type": ["array", "null"], "items": { "type": "string", "enum": known } })
    }

    /// Checks the names of fields and of members of the metadata.
    ///
    /// # Errors
    /// Names `fields` or `metadata_fields`.
    pub(super) fn parse(
        names: Option<Vec<String>>,
        metadata: Option<Vec<String>>,
    ) -> Result<Self, FieldError> {
        let known = |name: &&String| Self::known().any(|known| known == name.as_str());
        if let Some(unknown) = names.iter().flatten().find(|name| !known(name)) {
            let detail = format!(
                "contains {unknown:?}, which is not a field of a hit; the fields are {}",
                Self::NAMES.join(", ")
            );
            return Err(FieldError::new("fields", detail));
        }
        let metadata = metadata_fields(metadata)?;
        Ok(Self { names, metadata })
    }

    /// Whether hits have this field. Naming members of the metadata requests `metadata`.
    pub(super) fn has(&self, name: &str) -> bool {
        let named = |names: &Vec<String>| names.iter().any(|one| one == name);
        self.names.as_ref().is_none_or(named) || (name == "metadata" && self.metadata.is_some())
    }

    /// The members of the metadata that hits have; `None` for all.
    pub(super) fn metadata(&self) -> Option<Vec<String>> {
        if self.has("metadata") {
            self.metadata.clone()
        } else {
            Some(Vec::new())
        }
    }
}
