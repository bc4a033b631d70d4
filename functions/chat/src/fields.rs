//! Fields of sources for the model beside the title: metadata and dates that the caller names.

use document_store::{self, Dates, Visibility};
use json::FieldError;
use serde_json::Value;
use shared::Error;

use crate::state::ChatState;

/// Field names that are valid attributes of a tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct SourceFields(Vec<String>);

/// The document's own dates.
const CREATED: &str = "$created_at";
const UPDATED: &str = "$updated_at";
/// The most characters of a value for the model.
const LONGEST: usize = 200;

impl SourceFields {
    /// The most fields.
    pub(crate) const MAX: usize = 10;
    /// The most characters of a name.
    const MAX_NAME: usize = 64;

    /// Refuses names that are invalid in a tag.
    ///
    /// # Errors
    /// Names the first invalid one.
    pub(crate) fn parse(names: Vec<String>) -> Result<Self, FieldError> {
        if names.len() > Self::MAX {
            let detail = format!("has {} names; the limit is {}", names.len(), Self::MAX);
            return Err(FieldError::new("source_fields", detail));
        }
        let plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        let fits = |name: &String| {
            let own = [CREATED, UPDATED].contains(&name.as_str());
            own || ((1..=Self::MAX_NAME).contains(&name.chars().count()) && name.chars().all(plain))
        };
        match names.iter().position(|name| !fits(name)) {
            None => Ok(Self(names)),
            Some(at) => {
                let detail = format!(
                    "must be a key of metadata of at most {} letters, digits, and . _ -, or {CREATED} or {UPDATED}",
                    Self::MAX_NAME
                );
                Err(FieldError::new(format!("source_fields[{at}]"), detail))
            }
        }
    }

    /// The dates of documents, if requested.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn dates(
        &self,
        state: &ChatState,
        visibility: &Visibility,
        ids: Vec<String>,
    ) -> Result<Vec<Dates>, Error> {
        if ids.is_empty() || !self.0.iter().any(|name| name.starts_with('$')) {
            return Ok(Vec::new());
        }
        Ok(document_store::dates(&state.search.database, visibility, ids).await?)
    }

    /// The names and values of a document.
    pub(crate) fn of(&self, metadata: &str, dates: Option<&Dates>) -> Vec<(String, String)> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let metadata: Value = serde_json::from_str(metadata).unwrap_or_default();
        let value = |name: &String| {
            let value = match name.as_str() {
                CREATED => dates?.created_at.clone(),
                UPDATED => dates?.updated_at.clone(),
                name => as_text(within(&metadata, name)?)?,
            };
            let name = name.trim_start_matches('$').to_owned();
            Some((name, value.chars().take(LONGEST).collect()))
        };
        self.0.iter().filter_map(value).collect()
    }
}

/// The value of a key, or of a dotted path to one.
fn within<'a>(metadata: &'a Value, name: &str) -> Option<&'a Value> {
    let path = || {
        name.split('.')
            .try_fold(metadata, |value, key| value.get(key))
    };
    metadata.get(name).or_else(path)
}

fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().filter_map(as_text).collect();
            Some(values.join(", "))
        }
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(names: &[&str]) -> Result<SourceFields, FieldError> {
        SourceFields::parse(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn metadata_is_rendered_as_text() {
        let fields = fields(&[
            "author",
            "a.b",
            "a",
            "tags",
            "missing",
            "year",
            "$updated_at",
        ])
        .expect("they are fields");
        let dates = Dates {
            id: String::new(),
            created_at: String::new(),
            updated_at: "2026-11-28".to_owned(),
        };
        let told = fields.of(r#"{"author": "Ada", "a": {"b": true}, "tags": ["x", 7], "year": 2026, "missing": null}"#, Some(&dates));
        let told: Vec<(&str, &str)> = told
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("author", "Ada"),
                ("a.b", "true"),
                ("a", "{\"b\":true}"),
                ("tags", "x, 7"),
                ("year", "2026"),
                ("updated_at", "2026-11-28")
            ]
        );
    }

    #[test]
    fn names_that_would_leave_the_tag_are_refused() {
        for name in ["", "a b", "a=\"b\"", "a>", "$id"] {
            let error = fields(&["x", name]).expect_err(name);
            assert_eq!(error.field, "source_fields[1]");
        }
        assert_eq!(
            fields(&["x"; 11]).expect_err("too many").field,
            "source_fields"
        );
    }
}
