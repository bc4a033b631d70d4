//! A file as a document, on a line of JSON as imports read it.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde_json::json;

use crate::Extracted;

/// Where a file is from.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    /// The id of its document.
    pub id: &'a str,
    /// Its path, or the key of an object: `path` in the metadata.
    pub path: &'a str,
    /// The name of the folder that the path is below, if it is imported as a whole: `folder` in the metadata.
    pub folder: Option<&'a str>,
    /// When it was last changed: `modified` in the metadata, as RFC 3339 in UTC.
    pub modified: Option<SystemTime>,
}

impl Extracted {
    /// With the name of the file at a path as title, if it has no other: it often says what the file is about.
    #[must_use]
    pub fn named(mut self, path: &str) -> Self {
        if self.title.is_empty() {
            name(path).clone_into(&mut self.title);
        }
        self
    }

    /// The document of the file, [named](Self::named) by its path.
    ///
    /// # Errors
    /// Never, as far as texts and numbers are JSON.
    pub fn line(self, origin: &Origin<'_>) -> serde_json::Result<Vec<u8>> {
        let Self {
            title,
            content,
            mut metadata,
        } = self.named(origin.path);
        let own = [
            ("folder", origin.folder.map(str::to_owned)),
            ("path", Some(origin.path.to_owned())),
            ("modified", origin.modified.and_then(rfc3339)),
        ];
        for (key, value) in own {
            if let Some(value) = value {
                metadata.insert(key.to_owned(), value.into());
            }
        }
        serde_json::to_vec(&json!({
            "id": origin.id,
            "title": title,
            "content": content,
            "metadata": metadata,
        }))
    }
}

/// The name of a file without its extension.
fn name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

fn rfc3339(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, 0)?;
    Some(time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Value;

    use super::*;

    #[test]
    fn a_document_has_the_path_and_the_time_of_its_file() {
        let origin = Origin {
            id: "docs/a/b.tar.md",
            path: "a/b.tar.md",
            folder: Some("docs"),
            modified: Some(UNIX_EPOCH + Duration::from_secs(951_782_399)),
        };
        let line = Extracted::default().line(&origin).expect("it is JSON");
        let document: Value = serde_json::from_slice(&line).expect("it is JSON");
        let expected = json!({
            "id": "docs/a/b.tar.md", "title": "b.tar", "content": "",
            "metadata": { "folder": "docs", "path": "a/b.tar.md", "modified": "2000-02-28T23:59:59Z" },
        });
        assert_eq!(document, expected);
        assert_eq!(name(".profile"), ".profile");
    }
}
