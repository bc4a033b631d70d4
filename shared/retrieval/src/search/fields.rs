//! The fields of hits to send.

use document_store::metadata_fields;
use json::FieldError;

/// The requested fields of hits.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// `None` for all.
    names: Option<Vec<String>>,
    /// The members of the metadata; `None` for all.
    metadata: Option<Vec<String>>,
}

impl Fields {
    /// The optional fields; a hit always has `document_id` and `chunk`.
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

    /// Checks the names of fields and of members of the metadata.
    ///
    /// # Errors
    /// Names `fields` or `metadata_fields`.
    pub(super) fn parse(
        names: Option<Vec<String>>,
        metadata: Option<Vec<String>>,
    ) -> Result<Self, FieldError> {
        let known = |name: &&String| {
            Self::NAMES.contains(&name.as_str())
                || ["document_id", "chunk"].contains(&name.as_str())
        };
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
