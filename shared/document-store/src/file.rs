//! Files in requests, as `content_base64`, or as a `content` with a `content_type`. Their text is extracted elsewhere:
//! this crate links no parser.

use base64::{
    Engine as _,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use json::FieldError;
use serde_json::{Map, Value};

use super::input::DocumentInput;

/// A file whose text is to be extracted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInput {
    /// Its content type, if the request has one.
    pub content_type: Option<String>,
    /// The file.
    pub bytes: Vec<u8>,
    /// The field that it is from: `content_base64` or `content`.
    pub field: &'static str,
}

/// Padding may be left out, as many writers do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

impl DocumentInput {
    /// Takes out the file, if the document is one; what is extracted is to be [set](Self::set_extracted). `path` is before
    /// the names of fields in errors.
    ///
    /// # Errors
    /// Names the field, and what is wrong with it.
    pub fn take_file(&mut self, path: &str) -> Result<Option<FileInput>, FieldError> {
        let text = |value: Option<Value>, field: &str| match value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FieldError::new(format!("{path}{field}"), "is not a string")),
        };
        let content_type = text(self.content_type.take(), "content_type")?;
        let encoded = text(self.content_base64.take(), CONTENT_BASE64)?;
        let (bytes, field) = match (encoded, &content_type) {
            (Some(encoded), _) => {
                let wrong =
                    |detail: String| FieldError::new(format!("{path}{CONTENT_BASE64}"), detail);
                if self.content.is_some() {
                    return Err(wrong(
                        "is given beside content: send one of them".to_owned(),
                    ));
                }
                (decoded(&encoded).map_err(wrong)?, CONTENT_BASE64)
            }
            (None, Some(_)) => match self.content.take() {
                Some(content) => (content.into_bytes(), CONTENT),
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        self.is_base64 = field == CONTENT_BASE64;
        Ok(Some(FileInput {
            content_type,
            bytes,
            field,
        }))
    }

    /// Sets what a file has: its text, and the title and the metadata that the request does not have.
    ///
    /// # Errors
    /// Describes why the metadata cannot be stored.
    pub fn set_extracted(
        &mut self,
        title: String,
        content: String,
        mut metadata: Map<String, Value>,
    ) -> Result<(), String> {
        let own = self.metadata.take().unwrap_or_default();
        let mut all = own.with_defaults(&metadata)?;
        // A page of each passage is worth less than what the caller filters by.
        if all.unstorable("").is_some() && metadata.remove("page_starts").is_some() {
            all = own.with_defaults(&metadata)?;
        }
        self.metadata = Some(all);
        self.title.get_or_insert(title);
        self.content = Some(content);
        Ok(())
    }
}

/// The fields of a text, and of a file.
const CONTENT: &str = "content";
const CONTENT_BASE64: &str = "content_base64";

/// Decodes base64, on one line or on several.
fn decoded(text: &str) -> Result<Vec<u8>, String> {
    if text.starts_with("data:") {
        return Err("is a data URL: send what follows \"base64,\"".to_owned());
    }
    let text: String = text.split_ascii_whitespace().collect();
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    BASE64.decode(text).map_err(|error| {
        let reason = error.to_string();
        format!(
            "is not base64 (RFC 4648, section 4): {}",
            reason.trim_end_matches('.')
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Metadata;

    fn input(document: Value) -> DocumentInput {
        serde_json::from_value(document).expect("a document")
    }

    fn file(document: Value) -> Result<Option<FileInput>, FieldError> {
        input(document).take_file("documents[0].")
    }

    #[test]
    fn a_file_is_base64_or_a_content_with_a_type() {
        for encoded in ["w6k=", "w6k", "w6\nk=\n"] {
            let file = file(json!({ "content_base64": encoded, "content": null }));
            let file = file.expect(encoded).expect(encoded);
            assert_eq!(
                (file.bytes.as_slice(), file.field),
                ("é".as_bytes(), "content_base64")
            );
        }
        let typed = file(json!({ "content": "<p>é", "content_type": "text/html" }));
        let typed = typed.expect("a file").expect("a file");
        assert_eq!(typed.content_type.as_deref(), Some("text/html"));
        assert_eq!(
            (typed.bytes.as_slice(), typed.field),
            ("<p>é".as_bytes(), "content")
        );
        assert_eq!(file(json!({ "content": "é" })), Ok(None));
        assert_eq!(file(json!({ "content_type": "text/html" })), Ok(None));
    }

    #[test]
    fn a_file_that_cannot_be_decoded_is_refused_by_its_field() {
        for (document, field, words) in [
            (
                json!({ "content_base64": "w6k!" }),
                "content_base64",
                "not base64",
            ),
            (
                json!({ "content_base64": "" }),
                "content_base64",
                "is empty",
            ),
            (
                json!({ "content_base64": "data:a/b;base64,w6k=" }),
                "content_base64",
                "data URL",
            ),
            (
                json!({ "content_base64": "w6k=", "content": "é" }),
                "content_base64",
                "beside content",
            ),
            (
                json!({ "content_base64": [1] }),
                "content_base64",
                "not a string",
            ),
            (
                json!({ "content": "é", "content_type": 3 }),
                "content_type",
                "not a string",
            ),
        ] {
            let error = file(document.clone()).expect_err(words);
            assert_eq!(error.field, format!("documents[0].{field}"), "{document}");
            assert!(error.detail.contains(words), "{error}");
        }
    }

    #[test]
    fn what_the_request_has_is_kept_and_what_it_lacks_is_the_files() {
        let extracted = |metadata: Value| match metadata {
            Value::Object(metadata) => metadata,
            other => panic!("{other}"),
        };
        let mut document =
            input(json!({ "title": "Mine", "metadata": { "author": "Me", "n": 1.10 } }));
        let file = extracted(json!({ "author": "File", "page_starts": [0, 7] }));
        document
            .set_extracted("File".to_owned(), "Text".to_owned(), file)
            .expect("it can be stored");
        assert_eq!(document.title.as_deref(), Some("Mine"));
        let metadata = document.metadata.expect("it has some");
        assert_eq!(
            metadata.as_json(),
            r#"{"author":"Me","n":1.1,"page_starts":[0,7]}"#
        );

        let long = "x".repeat(Metadata::MAX_BYTES - 100);
        let mut document = input(json!({ "metadata": { "note": long } }));
        let file = extracted(json!({ "author": "File", "page_starts": vec![0; 200] }));
        document
            .set_extracted("File".to_owned(), "Text".to_owned(), file)
            .expect("it can be stored");
        assert_eq!(document.title.as_deref(), Some("File"));
        let metadata = document.metadata.expect("it has some");
        assert!(metadata.unstorable("metadata").is_none());
        assert!(metadata.as_json().contains("File") && !metadata.as_json().contains("page_starts"));
    }
}
