//! Fields that several requests share, parsed once.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::error::FieldError;

/// A document's id, chosen by the caller: 1 to [`DocumentId::MAX_CHARACTERS`] characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DocumentId(String);

impl DocumentId {
    /// Characters of the longest id; an index entry must fit a third of a page.
    pub const MAX_CHARACTERS: usize = 256;

    /// Refuses an empty or too long id, and one with a NUL.
    ///
    /// # Errors
    /// Names `field` and the limit.
    pub fn parse(id: String, field: &str) -> Result<Self, FieldError> {
        let characters = id.chars().count();
        if let Some(error) = nul(&id, field) {
            return Err(error);
        }
        if (1..=Self::MAX_CHARACTERS).contains(&characters) {
            return Ok(Self(id));
        }
        let detail = format!(
            "has {characters} characters; 1 to {} are allowed",
            Self::MAX_CHARACTERS
        );
        Err(FieldError::new(field, detail))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How many hits or documents are wanted, 1 to [`Limit::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(i32);

impl Limit {
    /// The most that one response holds.
    pub const MAX: i32 = 100;
    /// Hits of a search that names no limit.
    pub const SEARCH_DEFAULT: Self = Self(10);
    /// Documents of a page that names no limit.
    pub const PAGE_DEFAULT: Self = Self(20);

    /// Refuses a limit that is out of range; `None` is `default`.
    ///
    /// # Errors
    /// Names the field `limit` and its range.
    pub fn parse(limit: Option<i64>, default: Self) -> Result<Self, FieldError> {
        let Some(limit) = limit else {
            return Ok(default);
        };
        i32::try_from(limit)
            .ok()
            .filter(|limit| (1..=Self::MAX).contains(limit))
            .map(Self)
            .ok_or_else(|| {
                FieldError::new(
                    "limit",
                    format!("is {limit}; 1 to {} are allowed", Self::MAX),
                )
            })
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

/// A JSON object: a document's metadata, or the part of it that a filter asks for. It is kept as
/// text, since only Postgres looks inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(String);

impl Metadata {
    /// Bytes of the largest metadata of a document: it comes back with every hit, and a hundred must fit an
    /// answer.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// The object as JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The text under the key `language`, which says what language the document is in.
    #[must_use]
    pub fn language(&self) -> Option<String> {
        /// The rest of the object is skipped, not built.
        #[derive(Deserialize)]
        struct Named {
            language: Option<Value>,
        }
        let named: Named = serde_json::from_str(&self.0).ok()?;
        named.language?.as_str().map(str::to_owned)
    }

    /// Says of an object that cannot be stored why: it is too large, or has a NUL in a string.
    #[must_use]
    pub fn unstorable(&self, field: &str) -> Option<FieldError> {
        let bytes = self.0.len();
        if bytes > Self::MAX_BYTES {
            let detail = format!(
                "has {bytes} bytes as JSON; at most {} are allowed",
                Self::MAX_BYTES
            );
            return Some(FieldError::new(field, detail));
        }
        // Written by serde_json, a NUL appears as its escape, and a backslash in a string as two.
        let escaped_nul = self.0.replace(r"\\", "").contains(r"\u0000");
        escaped_nul.then(|| FieldError::new(field, NUL_REFUSED))
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = serde_json::Map::<String, Value>::deserialize(deserializer)?;
        Ok(Self(Value::Object(object).to_string()))
    }
}

const NUL_REFUSED: &str = "holds a NUL character (U+0000), which Postgres cannot store";

/// Says of a text with a NUL that it cannot be stored.
pub(crate) fn nul(text: &str, field: &str) -> Option<FieldError> {
    text.contains('\0')
        .then(|| FieldError::new(field, NUL_REFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_1_to_100() {
        for (limit, fits) in [
            (0, false),
            (1, true),
            (100, true),
            (101, false),
            (-1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(
                Limit::parse(Some(limit), Limit::SEARCH_DEFAULT).is_ok(),
                fits,
                "{limit}"
            );
        }
    }

    #[test]
    fn a_nul_is_told_from_an_escaped_backslash() {
        let metadata = |json: &str| serde_json::from_str::<Metadata>(json).expect("an object");
        assert!(
            metadata(r#"{"a":"\u0000"}"#)
                .unstorable("metadata")
                .is_some()
        );
        assert!(metadata(r#"{"\u0000":1}"#).unstorable("metadata").is_some());
        assert!(
            metadata(r#"{"a":"\\u0000"}"#)
                .unstorable("metadata")
                .is_none()
        );
        assert!(
            metadata(r#"{"a":"\\\u0000"}"#)
                .unstorable("metadata")
                .is_some()
        );
    }
}
