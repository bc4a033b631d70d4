//! Documents in requests and in lines of files.

use std::fmt;

use json::{FieldError, in_words};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, error::Category, value::RawValue};

use super::metadata::Metadata;

/// A document as a caller sends it, with the API's keys or BEIR's (`_id`, `text`). `null` counts as absent, because
/// exports write it.
#[derive(Clone, Debug, Default)]
pub struct DocumentInput {
    /// The caller's id; the content's hash if absent.
    pub id: Option<String>,
    /// At most [`super::Batch::MAX_TITLE_CHARACTERS`] characters; empty if absent.
    pub title: Option<String>,
    /// The text to search.
    pub content: Option<String>,
    /// Anything that searches may filter by; empty if absent.
    pub metadata: Option<Metadata>,
    /// What sort of file the content is, and a file in base64: see [`Self::take_file`]. Lines of files may have these keys
    /// for purposes of their own.
    pub(super) content_type: Option<Value>,
    pub(super) content_base64: Option<Value>,
    /// Whether the content is that of such a file.
    pub(super) is_base64: bool,
    /// Unknown keys. Files may have any.
    pub(super) unknown: Vec<String>,
}

/// Reads a line of JSON.
///
/// # Errors
/// Describes the error.
pub(super) fn read_line(line: &[u8]) -> Result<DocumentInput, String> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    let document =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe(&error))?;
    deserializer.end().map_err(|error| syntax(&error))?;
    Ok(document)
}

/// Describes the error of a line, with the field.
fn describe(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let cause = error.inner();
    if cause.classify() != Category::Data {
        return syntax(cause);
    }
    let (path, words) = (error.path().to_string(), in_words(&cause.to_string()));
    if path == "." {
        words
    } else {
        format!("{path}: {words}")
    }
}

/// Describes a syntax error, without the line number, which is always 1.
fn syntax(error: &serde_json::Error) -> String {
    format!(
        "is not JSON: {}",
        error
            .to_string()
            .replace(" at line 1 column ", " at column ")
    )
}

impl DocumentInput {
    /// One error per unknown key.
    pub(super) fn unknown(&self, path: &str) -> impl Iterator<Item = FieldError> {
        const KNOWN: &str = "is not a field of a document; the fields are id, title, content, content_base64, content_type and metadata";
        self.unknown
            .iter()
            .map(move |key| FieldError::new(format!("{path}{key}"), KNOWN))
    }
}

impl<'de> Deserialize<'de> for DocumentInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Document)
    }
}

/// Reads a document from an object.
struct Document;

impl<'de> Visitor<'de> for Document {
    type Value = DocumentInput;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the fields id, title, content, metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DocumentInput, A::Error> {
        let (mut id, mut title, mut content) = (Twin::default(), Twin::default(), Twin::default());
        let mut metadata = Twin::default();
        let (mut content_type, mut content_base64) = (Twin::default(), Twin::default());
        let mut unknown = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "id" => id.first("id", map.next_value::<Option<Id>>()?)?,
                "_id" => id.second("_id", map.next_value::<Option<Id>>()?)?,
                "title" => title.first("title", map.next_value()?)?,
                "content" => content.first("content", map.next_value()?)?,
                "text" => content.second("text", map.next_value()?)?,
                "metadata" => metadata.first("metadata", map.next_value()?)?,
                "content_type" => content_type.first("content_type", map.next_value()?)?,
                "content_base64" => content_base64.first("content_base64", map.next_value()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    unknown.push(key);
                }
            }
        }
        Ok(DocumentInput {
            id: id.one("id", "_id")?.map(|Id(id)| id),
            title: title.one("title", "")?,
            content: content.one("content", "text")?,
            metadata: metadata.one("metadata", "")?,
            content_type: content_type.one("content_type", "")?,
            content_base64: content_base64.one("content_base64", "")?,
            is_base64: false,
            unknown,
        })
    }
}

/// The value of a field that has two spellings.
#[expect(
    clippy::option_option,
    reason = "a field may be absent, null, or have a value"
)]
struct Twin<T> {
    first: Option<Option<T>>,
    second: Option<Option<T>>,
}

impl<T> Default for Twin<T> {
    fn default() -> Self {
        Self {
            first: None,
            second: None,
        }
    }
}

impl<T: PartialEq> Twin<T> {
    fn first<E: serde::de::Error>(&mut self, key: &'static str, value: Option<T>) -> Result<(), E> {
        match self.first.replace(value) {
            None => Ok(()),
            Some(_) => Err(E::custom(format!("{key} is given more than once"))),
        }
    }

    fn second<E: serde::de::Error>(
        &mut self,
        key: &'static str,
        value: Option<T>,
    ) -> Result<(), E> {
        match self.second.replace(value) {
            None => Ok(()),
            Some(_) => Err(E::custom(format!("{key} is given more than once"))),
        }
    }

    /// The value under either key; under both, the values must be equal.
    fn one<E: serde::de::Error>(self, first: &str, second: &str) -> Result<Option<T>, E> {
        match (self.first.flatten(), self.second.flatten()) {
            (Some(one), Some(other)) if one != other => Err(E::custom(format!(
                "{first} and {second} are the same field and have two values"
            ))),
            (one, other) => Ok(one.or(other)),
        }
    }
}

/// An id: a text, or a whole number, which some exports write; stored as its digits.
#[derive(PartialEq)]
struct Id(String);

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let text = raw.get();
        if text.starts_with('"') {
            return serde_json::from_str(text)
                .map(Self)
                .map_err(D::Error::custom);
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self(text.to_owned()));
        }
        Err(D::Error::custom("must be a string or a whole number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(line: &str) -> Option<String> {
        read_line(line.as_bytes()).expect(line).id
    }

    fn refused(line: &str) -> String {
        read_line(line.as_bytes()).expect_err(line)
    }

    #[test]
    fn a_document_is_read_in_either_spelling_or_in_both() {
        for line in [
            r#"{"id":"n7","title":"T","content":"C","metadata":{"a":1}}"#,
            r#"{"_id":"n7","title":"T","text":"C","metadata":{"a":1}}"#,
            r#"{"_id":"n7","id":"n7","title":"T","text":"C","content":"C","metadata":{"a":1},"score":[]}"#,
            r#"{"id":null,"_id":"n7","text":"C","content":null,"title":"T","metadata":{"a":1}}"#,
        ] {
            let document = read_line(line.as_bytes()).expect(line);
            assert_eq!(document.id.as_deref(), Some("n7"), "{line}");
            assert_eq!(document.title.as_deref(), Some("T"), "{line}");
            assert_eq!(document.content.as_deref(), Some("C"), "{line}");
            assert_eq!(
                document.metadata.as_ref().map(Metadata::as_json),
                Some(r#"{"a":1}"#),
                "{line}"
            );
        }
        assert!(refused(r#"{"_id":"7","id":"8","text":"C"}"#).contains("two values"));
        assert!(refused(r#"{"text":"a","content":"b"}"#).contains("two values"));
        assert!(refused(r#"{"text":"a","text":"a"}"#).contains("text is given more than once"));
    }

    #[test]
    fn an_id_may_be_a_whole_number_of_any_length() {
        for (json, text) in [
            ("815", "815"),
            ("-3", "-3"),
            (
                "340282366920938463463374607431768211456",
                "340282366920938463463374607431768211456",
            ),
            ("\"caf\\u00e9\"", "café"),
        ] {
            assert_eq!(id(&format!(r#"{{"id":{json}}}"#)).as_deref(), Some(text));
        }
        assert_eq!(id(r#"{"id":7,"_id":"7"}"#).as_deref(), Some("7"));
        assert_eq!(id(r#"{"id":null}"#), None);
        for json in ["true", "1.5", "1e3", "[1]", "{\"a\":1}"] {
            let line = format!(r#"{{"id":{json}}}"#);
            assert!(refused(&line).contains("whole number"), "{line}");
        }
    }

    #[test]
    fn a_line_that_is_not_an_object_is_reported_without_rust_type_names() {
        for (line, detail) in [
            (r#"["id","title","content"]"#, "is a list, not an object"),
            ("7", "is 7, not an object"),
            (r#""a row of words""#, "is a string, not an object"),
            (r#"{"content":["a"]}"#, "content: is a list, not a string"),
            (r#"{"id":true}"#, "id: must be a string or a whole number"),
            ("not json", "is not JSON: expected ident at column 2"),
            ("{} {}", "is not JSON: trailing characters at column 4"),
        ] {
            assert!(refused(line).contains(detail), "{}", refused(line));
        }
    }
}
