//! Partial changes: a JSON merge patch (RFC 7396) of a document's title and metadata.

use std::collections::BTreeMap;

use json::FieldError;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::IgnoredAny};
use serde_json::value::RawValue;

use super::{batch::Batch, input::DocumentInput, metadata::Metadata, read::Document};

/// The body of `PATCH /documents/{id}`. `null` removes; absent keeps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PatchRequest {
    /// The new title.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<String>", length(max = Batch::MAX_TITLE_CHARACTERS))]
    title: Option<Box<RawValue>>,
    /// The keys to set, and with `null` those to remove; `null` for all of them.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Option<Metadata>")]
    metadata: Option<Box<RawValue>>,
    #[schemars(skip)]
    content: Option<IgnoredAny>,
}

/// A change of title and metadata.
#[derive(Clone, Debug)]
pub struct Patch {
    title: Option<String>,
    metadata: Option<MetadataPatch>,
}

/// A change of metadata: an object in the stored form, or null.
#[derive(Clone, Debug)]
pub struct MetadataPatch(String);

impl PatchRequest {
    /// Checks the change.
    ///
    /// # Errors
    /// Names `title`, `metadata`, `content` or the whole body.
    pub fn parse(self) -> Result<Patch, FieldError> {
        if self.content.is_some() {
            let detail = "cannot be patched; PUT replaces the document";
            return Err(FieldError::new("content", detail));
        }
        if self.title.is_none() && self.metadata.is_none() {
            return Err(FieldError::new(
                "body",
                "has neither title nor metadata to change",
            ));
        }
        let title = self.title.map(|title| {
            let title: Option<String> = serde_json::from_str(title.get())
                .map_err(|_| FieldError::new("title", "is not a string"))?;
            Ok(title.unwrap_or_default())
        });
        let metadata = self.metadata.map(|patch| MetadataPatch::parse(&patch));
        Ok(Patch {
            title: title.transpose()?,
            metadata: metadata.transpose()?,
        })
    }
}

impl Patch {
    /// The changed document.
    pub(super) fn applied(&self, document: Document) -> Result<DocumentInput, FieldError> {
        let metadata = stored(document.metadata.get())?;
        let metadata = match &self.metadata {
            Some(patch) => patch.applied(&metadata)?,
            None => metadata,
        };
        Ok(DocumentInput {
            title: Some(self.title.clone().unwrap_or(document.title)),
            content: document.content,
            metadata: Some(metadata),
            ..DocumentInput::default()
        })
    }
}

impl MetadataPatch {
    /// Accepts an object, or null, which removes all metadata.
    ///
    /// # Errors
    /// Names `metadata`.
    pub fn parse(patch: &RawValue) -> Result<Self, FieldError> {
        if patch.get() == "null" {
            return Ok(Self("null".to_owned()));
        }
        let patch: Metadata = serde_json::from_str(patch.get()).map_err(|error| refused(&error))?;
        Ok(Self(patch.as_json().to_owned()))
    }

    /// Whether it changes the language of the text, which must then be analysed again.
    pub(super) fn changes_language(&self) -> bool {
        let members: Option<BTreeMap<String, &RawValue>> = serde_json::from_str(&self.0).ok();
        members.is_none_or(|members| members.contains_key("language"))
    }

    pub(super) fn applied(&self, metadata: &Metadata) -> Result<Metadata, FieldError> {
        let merged = match self.0.as_str() {
            "null" => "{}".to_owned(),
            patch => merged(Some(metadata.as_json()), patch),
        };
        let merged: Metadata = serde_json::from_str(&merged).map_err(|error| refused(&error))?;
        match merged.unstorable("metadata") {
            Some(error) => Err(error),
            None => Ok(merged),
        }
    }
}

/// Metadata as Postgres wrote it.
pub(super) fn stored(json: &str) -> Result<Metadata, FieldError> {
    serde_json::from_str(json).map_err(|error| refused(&error))
}

/// Merges `patch` into `target` as text, so that numbers keep their digits. The depth of the patch was checked.
fn merged(target: Option<&str>, patch: &str) -> String {
    type Members<'a> = BTreeMap<String, &'a RawValue>;
    let Ok(changes) = serde_json::from_str::<Members<'_>>(patch) else {
        return patch.to_owned();
    };
    let target: Members<'_> = target
        .and_then(|target| serde_json::from_str(target).ok())
        .unwrap_or_default();
    let mut members: BTreeMap<String, String> = target
        .into_iter()
        .map(|(key, value)| (key, value.get().to_owned()))
        .collect();
    for (key, change) in changes {
        if change.get() == "null" {
            members.remove(&key);
        } else {
            let value = merged(members.get(&key).map(String::as_str), change.get());
            members.insert(key, value);
        }
    }
    let members: Vec<String> = members
        .into_iter()
        .map(|(key, value)| format!("{}:{value}", serde_json::Value::from(key)))
        .collect();
    format!("{{{}}}", members.join(","))
}

fn refused(error: &serde_json::Error) -> FieldError {
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or(&message);
    FieldError::new("metadata", message)
}

/// Distinguishes null from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(metadata: &str, patch: &str) -> String {
        let metadata = serde_json::from_str(metadata).expect(metadata);
        let patch = MetadataPatch::parse(serde_json::from_str(patch).expect(patch)).expect(patch);
        patch
            .applied(&metadata)
            .expect("it can be stored")
            .as_json()
            .to_owned()
    }

    /// The examples of RFC 7396 whose target and patch are objects, and numbers that keep their digits.
    #[test]
    fn a_patch_is_merged() {
        for (metadata, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (
                r#"{"a":{"b":"c"}}"#,
                r#"{"a":{"b":"d","c":null}}"#,
                r#"{"a":{"b":"d"}}"#,
            ),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (
                r#"{"a":[null]}"#,
                r#"{"b":[null]}"#,
                r#"{"a":[null],"b":[null]}"#,
            ),
            (
                r#"{"n":18446744073709551616}"#,
                r#"{"m":1.10}"#,
                r#"{"m":1.10,"n":18446744073709551616}"#,
            ),
            (r#"{"a":1}"#, "null", "{}"),
            ("{\"\u{e9}\":1}", "{\"e\\u0301\":null}", "{}"),
        ] {
            assert_eq!(patched(metadata, patch), result, "{metadata} {patch}");
        }
    }

    #[test]
    fn what_cannot_be_merged_is_refused_with_its_field() {
        for (body, field) in [
            (r#"{"metadata":[1]}"#, "metadata"),
            (r#"{"metadata":"a"}"#, "metadata"),
            (r#"{"metadata":{"a":1,"a":2}}"#, "metadata"),
            (r#"{"title":7}"#, "title"),
            (r#"{"content":"a"}"#, "content"),
            ("{}", "body"),
        ] {
            let request: PatchRequest = serde_json::from_str(body).expect(body);
            assert_eq!(request.parse().expect_err(body).field, field, "{body}");
        }
    }
}
