//! The definition of a source: a table, and the parts of its rows that make a document.

use std::collections::BTreeMap;

use json::FieldError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use serde_json::Value;

/// The followed table, and the parts of its rows that make a document. `title`, `content`, `where` and the values of
/// `metadata` are names of columns, or SQL expressions on the columns of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDefinition {
    /// The table, in SQL syntax: `public.articles`, `"Articles"`. The default schema is `public`.
    #[schemars(length(min = 1, max = SourceDefinition::MAX_EXPRESSION_CHARACTERS))]
    pub table: String,
    /// The columns that identify rows; the primary key if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Vec<String>>,
    /// The title; none if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = SourceDefinition::MAX_EXPRESSION_CHARACTERS))]
    pub title: Option<String>,
    /// The text to search.
    #[schemars(length(min = 1, max = SourceDefinition::MAX_EXPRESSION_CHARACTERS))]
    pub content: String,
    /// The metadata, by name; a list takes each column under its own name.
    #[serde(
        default,
        deserialize_with = "metadata",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    #[schemars(schema_with = "metadata_schema")]
    pub metadata: BTreeMap<String, String>,
    /// The condition on rows with a document; all rows if absent.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = SourceDefinition::MAX_EXPRESSION_CHARACTERS))]
    pub condition: Option<String>,
}

impl SourceDefinition {
    /// The most characters of a source's name, the prefix of its documents' ids.
    pub const MAX_NAME_CHARACTERS: usize = 63;
    /// The most characters of an expression.
    pub const MAX_EXPRESSION_CHARACTERS: usize = 2_000;
    /// The most columns of metadata: a Postgres function takes twice as many arguments.
    pub const MAX_METADATA: usize = 49;

    /// Checks it and its `name` without the database.
    ///
    /// # Errors
    /// One entry per invalid field.
    pub fn check(&self, name: &str) -> Result<(), Vec<FieldError>> {
        let mut errors: Vec<FieldError> = name_error(name).into_iter().collect();
        if self.metadata.len() > Self::MAX_METADATA {
            let detail = format!(
                "has {} columns; at most {} are allowed",
                self.metadata.len(),
                Self::MAX_METADATA
            );
            errors.push(FieldError::new("metadata", detail));
        }
        let named = self
            .metadata
            .iter()
            .map(|(key, value)| (format!("metadata.{key}"), Some(value)));
        let fields = [
            ("table".to_owned(), Some(&self.table)),
            ("title".to_owned(), self.title.as_ref()),
            ("content".to_owned(), Some(&self.content)),
            ("where".to_owned(), self.condition.as_ref()),
        ];
        for (field, value) in fields.into_iter().chain(named) {
            let Some(value) = value else { continue };
            let characters = value.chars().count();
            if value.trim().is_empty() {
                errors.push(FieldError::new(field, "is empty"));
            } else if characters > Self::MAX_EXPRESSION_CHARACTERS {
                let detail = format!(
                    "has {characters} characters; the limit is {}",
                    Self::MAX_EXPRESSION_CHARACTERS
                );
                errors.push(FieldError::new(field, detail));
            } else if field.contains('\0') || value.contains('\0') {
                errors.push(FieldError::new(field, "holds a NUL"));
            }
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

/// The schema of both forms of `metadata`; responses have the second.
fn metadata_schema(_: &mut SchemaGenerator) -> Schema {
    let expression = json_schema!({
        "type": "string", "minLength": 1, "maxLength": SourceDefinition::MAX_EXPRESSION_CHARACTERS,
    });
    json_schema!({ "anyOf": [
        { "type": "array", "items": expression, "maxItems": SourceDefinition::MAX_METADATA },
        { "type": "object", "additionalProperties": expression, "maxProperties": SourceDefinition::MAX_METADATA },
        { "type": "null" },
    ] })
}

/// Checks the name of a source.
pub(super) fn name_error(name: &str) -> Option<FieldError> {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
    let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.len() <= SourceDefinition::MAX_NAME_CHARACTERS
        && name.starts_with(begins)
        && name.chars().all(is_word);
    let detail = "must be 1 to 63 lower-case letters, digits, hyphens, underscores and dots, and begin with a letter \
                  or a digit";
    (!fits).then(|| FieldError::new("name", detail))
}

/// An object of names and expressions, or a list of columns.
fn metadata<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let wrong = || D::Error::custom("must be a list of columns, or an object of names and columns");
    let text = |value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(wrong()),
    };
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(BTreeMap::new()),
        Value::Array(columns) => columns
            .into_iter()
            .map(|column| text(column).map(|column| (column.clone(), column)))
            .collect(),
        Value::Object(named) => named
            .into_iter()
            .map(|(name, value)| Ok((name, text(value)?)))
            .collect(),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> SourceDefinition {
        json::from_slice(json.as_bytes()).expect(json)
    }

    #[test]
    fn metadata_is_a_list_of_columns_or_an_object_of_expressions() {
        let list = read(r#"{"table":"t","content":"c","metadata":["author","year"]}"#);
        let object =
            read(r#"{"table":"t","content":"c","metadata":{"author":"author","year":"year"}}"#);
        assert_eq!(list, object);
        for wrong in ["7", "\"a\"", "[1]", "{\"a\":1}"] {
            let json = format!(r#"{{"table":"t","content":"c","metadata":{wrong}}}"#);
            let read: Result<SourceDefinition, _> = json::from_slice(json.as_bytes());
            let error = read.expect_err(wrong).to_string();
            assert!(error.contains("metadata"), "{error}");
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let source = read(r#"{"table":" ","content":"a\u0000","where":""}"#);
        let errors = source.check("Ärger").expect_err("wrong");
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(fields, ["name", "table", "content", "where"]);
        let source = read(r#"{"table":"t","content":"c"}"#);
        assert_eq!(source.check("blog-2.posts_fr"), Ok(()));
        for name in ["", "-a", "a/b", "a b", &"a".repeat(64)] {
            assert!(source.check(name).is_err(), "{name}");
        }
    }
}
