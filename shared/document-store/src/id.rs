//! A document's id.

use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{fields::nul, hash::hex, text::normalised};

/// A document's id, chosen by the caller: 1 to [`DocumentId::MAX_CHARACTERS`] characters in Unicode's normal
/// form C, so that ids that look the same are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
pub struct DocumentId(#[schemars(length(min = 1, max = DocumentId::MAX_CHARACTERS))] String);

impl DocumentId {
    /// The most characters of an id: an index entry must fit a third of a page.
    pub const MAX_CHARACTERS: usize = 256;

    /// Refuses an empty or too long id, and one with a NUL. For ids from a path, which passed the gateway.
    ///
    /// # Errors
    /// Names `field` and the limit.
    pub fn parse(id: &str, field: &str) -> Result<Self, FieldError> {
        let id = normalised(id);
        let characters = id.chars().count();
        if let Some(error) = nul(&id, field) {
            return Err(error);
        }
        if (1..=Self::MAX_CHARACTERS).contains(&characters) {
            return Ok(Self(id.into_owned()));
        }
        let detail = format!(
            "has {characters} characters; 1 to {} are allowed",
            Self::MAX_CHARACTERS
        );
        Err(FieldError::new(field, detail))
    }

    /// Also refuses an id that a path cannot carry, because API Gateway decodes a path before it looks for the route
    /// and passes it on.
    ///
    /// # Errors
    /// Names `field` and the invalid part of the id.
    pub fn parse_new(id: &str, field: &str) -> Result<Self, FieldError> {
        let id = Self::parse(id, field)?;
        match id.unreachable() {
            None => Ok(id),
            Some(part) => {
                let detail = format!(
                    "is {:?}: a path cannot contain an id with {part}, because API Gateway decodes it",
                    id.0
                );
                Err(FieldError::new(field, detail))
            }
        }
    }

    /// The id of the document of a file: its path, or, if that cannot be an id, a hash of it.
    #[must_use]
    pub fn of_path(path: &str) -> Self {
        // Also before the hash: macOS and Linux write the same name in different forms.
        let path = normalised(path);
        Self::parse_new(&path, "id")
            .unwrap_or_else(|_| Self(format!("file-{}", hex(&Sha256::digest(path.as_bytes())))))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of an id that a path loses.
    fn unreachable(&self) -> Option<&'static str> {
        let id = self.0.as_str();
        let is_escape = |position: usize| {
            let digits = id.as_bytes().get(position + 1..position + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        };
        if id.contains('?') {
            Some("a question mark")
        } else if id.contains('#') {
            Some("a #")
        } else if id
            .match_indices('%')
            .any(|(position, _)| is_escape(position))
        {
            Some("a % before two hexadecimal digits")
        } else if id.split('/').any(|step| step == "." || step == "..") {
            Some("a segment . or ..")
        } else if id.ends_with('/') {
            Some("a trailing slash")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_no_path_can_carry_is_refused_where_it_is_new() {
        for id in [
            "a?b", "a#b", "100%25", "x%2fy", ".", "..", "a/../b", "./a", "a/.", "folder/",
        ] {
            assert!(DocumentId::parse(id, "id").is_ok(), "{id}");
            let error = DocumentId::parse_new(id, "id").expect_err(id);
            assert_eq!(error.field, "id");
            assert!(error.detail.contains("API Gateway"), "{error}");
        }
        for id in [
            "a/b/été.md",
            "100 % sûr",
            "50%",
            "a%2",
            "...",
            "a..b",
            ".profile",
            "a+b&c=d",
            "é\n\"",
            "/a",
        ] {
            assert!(DocumentId::parse_new(id, "id").is_ok(), "{id}");
        }
    }

    #[test]
    fn a_file_has_one_id_in_either_form_of_its_name() {
        for (path, other, is_hash) in [
            ("a/caf\u{e9}.md", "a/cafe\u{301}.md", false),
            ("a/caf\u{e9}?.md", "a/cafe\u{301}?.md", true),
        ] {
            let id = DocumentId::of_path(path);
            assert_eq!(id, DocumentId::of_path(other), "{path}");
            assert_eq!(id.as_str().starts_with("file-"), is_hash, "{path}");
        }
    }

    #[test]
    fn two_ids_that_look_alike_are_one() {
        let composed = DocumentId::parse("caf\u{e9}", "id");
        assert_eq!(composed, DocumentId::parse("cafe\u{301}", "id"));
        let longest = "e\u{301}".repeat(DocumentId::MAX_CHARACTERS);
        assert!(
            DocumentId::parse(&longest, "id").is_ok(),
            "counted as stored"
        );
        assert!(DocumentId::parse(&(longest + "e"), "id").is_err());
    }
}
