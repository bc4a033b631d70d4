//! The document of a row.

use std::fmt::Write as _;

use document_store::Prepared;
use serde_json::{json, value::RawValue};

/// A row from `source_rows`.
#[derive(Debug, database::FromRow)]
pub(crate) struct Row {
    /// Absent, as all but `failure`, if the table cannot be read.
    pub(crate) key: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) metadata: Option<String>,
    pub(crate) failure: Option<String>,
}

/// The id of the document of a row: the source's name and the values of its key, with slashes between. In a value, what a path
/// does not carry, and the slash and the tilde, are `~` and two hexadecimal digits; an empty value is `~`. `None` if the key is
/// not one.
pub(crate) fn document_id(source: &str, key: &str) -> Option<String> {
    // A number stays as it is written: as a float it would lose digits, and several keys would share an id.
    let values: Vec<Box<RawValue>> = serde_json::from_str(key).ok()?;
    let mut id = source.to_owned();
    for value in values {
        id.push('/');
        let json = value.get();
        if json.starts_with('"') {
            let text: String = serde_json::from_str(json).ok()?;
            push_escaped(&mut id, &text);
        } else {
            id.push_str(json);
        }
    }
    Some(id)
}

fn push_escaped(id: &mut String, text: &str) {
    if text.is_empty() {
        return id.push('~');
    }
    let is_step = text == "." || text == "..";
    for c in text.chars() {
        if "/?#%~".contains(c) || c.is_control() || (is_step && c == '.') {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(id, "~{byte:02X}");
            }
        } else {
            id.push(c);
        }
    }
}

impl Row {
    /// Whether there is nothing to search: such a row has no document.
    pub(crate) fn is_blank(&self) -> bool {
        self.content
            .as_deref()
            .is_none_or(|content| content.trim().is_empty())
    }

    /// The document with this id.
    ///
    /// # Errors
    /// Names the violated limit of a document, without its text.
    pub(crate) fn document(&self, id: &str) -> Result<Prepared, String> {
        let metadata = self.metadata.clone().unwrap_or_else(|| "{}".to_owned());
        let metadata = RawValue::from_string(metadata).map_err(|error| error.to_string())?;
        let line = json!({
            "id": id,
            "title": self.title.as_deref().unwrap_or_default(),
            "content": self.content,
        });
        // As text, so that numbers keep their digits.
        let mut line = line.to_string();
        line.pop();
        let line = format!("{line},\"metadata\":{}}}", metadata.get());
        let document = Prepared::read(line.as_bytes())?;
        if document.id() == id {
            Ok(document)
        } else {
            // Two rows would share one document.
            Err("id: the key is not in Unicode's normal form C".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use document_store::DocumentId;

    use super::*;

    #[test]
    fn different_keys_have_different_ids_that_survive_a_path() {
        let keys = [
            (r"[7]", "s/7"),
            (r#"["7f0c"]"#, "s/7f0c"),
            (r#"[1, "x"]"#, "s/1/x"),
            (r#"["a/b", "c"]"#, "s/a~2Fb/c"),
            (r#"["a", "b/c"]"#, "s/a/b~2Fc"),
            (r#"["", ""]"#, "s/~/~"),
            (r#"["~"]"#, "s/~7E"),
            (r#"[".."]"#, "s/~2E~2E"),
            (r#"["a.b?c#d%41"]"#, "s/a.b~3Fc~23d~2541"),
            (r#"["été\n"]"#, "s/été~0A"),
            (r#"["a\u0022\u00e9"]"#, "s/a\"é"),
            (r"[5.00, -0.10]", "s/5.00/-0.10"),
            (r"[5.0, true]", "s/5.0/true"),
            (
                r"[123456789012345678901234567890]",
                "s/123456789012345678901234567890",
            ),
            (
                r"[123456789012345678901234567891]",
                "s/123456789012345678901234567891",
            ),
        ];
        for (key, expected) in keys {
            let id = document_id("s", key).expect(key);
            assert_eq!(id, expected, "{key}");
            assert!(DocumentId::parse_new(&id, "id").is_ok(), "{id}");
        }
        assert_eq!(document_id("s", "#3cf0"), None);
    }

    #[test]
    fn an_invalid_row_says_why_without_its_text() {
        let row = |title: &str, metadata: &str| Row {
            key: Some("[1]".to_owned()),
            title: Some(title.to_owned()),
            content: Some("secret".to_owned()),
            metadata: Some(metadata.to_owned()),
            failure: None,
        };
        let number = r#"{"n": 12345678901234567890.125}"#;
        assert!(row("a", number).document("s/1").is_ok());
        let reason = row(&"t".repeat(1_001), "{}")
            .document("s/1")
            .expect_err("too long");
        assert!(reason.contains("title: has 1001 characters"), "{reason}");
        assert!(!reason.contains("secret"), "{reason}");
        assert!(row("a", "{}").document("s/e\u{301}").is_err());
    }
}
