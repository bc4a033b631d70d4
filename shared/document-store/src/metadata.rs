//! A document's metadata, or the part in a filter.

use std::{collections::BTreeMap, fmt};

use json::FieldError;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use super::{fields::NUL_REFUSED, text::normalised};

/// A JSON object kept as text, since only Postgres looks inside: without white space, keys in their order, texts in
/// Unicode's normal form C, numbers with their original digits. (The feature `arbitrary_precision` of `serde_json`
/// would keep these too, but it applies to all crates, and breaks `untagged` and `flatten` in others.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    json: String,
    /// Bytes of Postgres' output, which writes out exponents.
    bytes: usize,
}

impl Metadata {
    /// The most bytes of a document's metadata: each hit has it, and a hundred hits must fit a response.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The most levels of nested objects and lists.
    pub const MAX_DEPTH: usize = 64;
    /// The largest exponent of ten, positive or negative: beyond those of a double.
    pub const MAX_EXPONENT: u32 = 400;

    /// The object as JSON text.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.json
    }

    /// The same with the members of `defaults` whose keys it does not have.
    ///
    /// # Errors
    /// Describes why these cannot be stored.
    pub(super) fn with_defaults(&self, defaults: &Map<String, Value>) -> Result<Self, String> {
        let Members(mut members) = read(&self.json)?;
        let defaults: Vec<(String, Box<RawValue>)> = defaults
            .iter()
            .map(|(key, value)| Ok((normalised(key).into_owned(), to_raw_value(value)?)))
            .collect::<serde_json::Result<_>>()
            .map_err(|error| error.to_string())?;
        for (key, value) in &defaults {
            members.entry(key.clone()).or_insert(value);
        }
        let json = serde_json::to_string(&members).map_err(|error| error.to_string())?;
        read(&json)
    }

    /// The text under the key `language`: the document's language.
    #[must_use]
    pub fn language(&self) -> Option<String> {
        /// The rest of the object is skipped, not built.
        #[derive(Deserialize)]
        struct Named {
            language: Option<Value>,
        }
        let named: Named = serde_json::from_str(&self.json).ok()?;
        named.language?.as_str().map(str::to_owned)
    }

    /// The reason why the object cannot be stored, if any: it is too large, or has a NUL in a string.
    #[must_use]
    pub fn unstorable(&self, field: &str) -> Option<FieldError> {
        if self.bytes > Self::MAX_BYTES {
            let detail = format!(
                "has {} bytes as JSON; at most {} are allowed",
                self.bytes,
                Self::MAX_BYTES
            );
            return Some(FieldError::new(field, detail));
        }
        // serde_json escapes a NUL, and doubles a backslash in a string.
        let escaped_nul = self.json.replace(r"\\", "").contains(r"\u0000");
        escaped_nul.then(|| FieldError::new(field, NUL_REFUSED))
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            json: "{}".to_owned(),
            bytes: 2,
        }
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with('{') {
            return Err(D::Error::custom("must be a JSON object"));
        }
        let mut writer = Writer::default();
        writer.value(raw.get(), 0).map_err(D::Error::custom)?;
        Ok(Self {
            bytes: writer.json.len() + writer.exponents,
            json: writer.json,
        })
    }
}

/// Writes JSON in the stored form.
#[derive(Default)]
struct Writer {
    json: String,
    /// The digits of written-out exponents.
    exponents: usize,
}

impl Writer {
    fn value(&mut self, text: &str, depth: usize) -> Result<(), String> {
        if depth > Metadata::MAX_DEPTH {
            return Err(format!(
                "is nested deeper than {} levels",
                Metadata::MAX_DEPTH
            ));
        }
        match text.as_bytes().first() {
            Some(b'{') => {
                let members: Members<'_> = read(text)?;
                self.all('{', members.0.iter(), '}', |writer, (key, value)| {
                    writer.text(key)?;
                    writer.json.push(':');
                    writer.value(value.get(), depth + 1)
                })
            }
            Some(b'[') => {
                let elements: Vec<&RawValue> = read(text)?;
                self.all('[', elements.iter(), ']', |writer, value| {
                    writer.value(value.get(), depth + 1)
                })
            }
            Some(b'"') => {
                let text: String = read(text)?;
                self.text(&normalised(&text))
            }
            Some(b't' | b'f' | b'n') => {
                self.json.push_str(text);
                Ok(())
            }
            _ => self.number(text),
        }
    }

    fn all<T>(
        &mut self,
        open: char,
        items: impl Iterator<Item = T>,
        close: char,
        write: impl Fn(&mut Self, T) -> Result<(), String>,
    ) -> Result<(), String> {
        self.json.push(open);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.json.push(',');
            }
            write(self, item)?;
        }
        self.json.push(close);
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        let quoted = serde_json::to_string(text).map_err(|error| error.to_string())?;
        self.json.push_str(&quoted);
        Ok(())
    }

    fn number(&mut self, text: &str) -> Result<(), String> {
        if let Some((_, exponent)) = text.split_once(['e', 'E']) {
            let exponent = exponent.trim_start_matches(['+', '-']).parse::<u32>();
            match exponent {
                Ok(exponent) if exponent <= Metadata::MAX_EXPONENT => {
                    self.exponents += exponent as usize;
                }
                _ => {
                    return Err(format!(
                        "contains the number {text}, whose exponent exceeds {}",
                        Metadata::MAX_EXPONENT
                    ));
                }
            }
        }
        self.json.push_str(text);
        Ok(())
    }
}

/// The members of an object by their keys, without duplicates.
struct Members<'a>(BTreeMap<String, &'a RawValue>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    let key = normalised(&key).into_owned();
                    if members.contains_key(&key) {
                        return Err(A::Error::custom(format!("has the key {key:?} twice")));
                    }
                    members.insert(key, value);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// Reads a part of valid JSON; errors have no position, because one within the part would mislead.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        match message.split_once(" at line ") {
            Some((message, _)) => message.to_owned(),
            None => message,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(json: &str) -> Metadata {
        serde_json::from_str(json).expect(json)
    }

    fn refused(json: &str) -> String {
        serde_json::from_str::<Metadata>(json)
            .expect_err(json)
            .to_string()
    }

    #[test]
    fn a_nul_is_distinguished_from_an_escaped_backslash() {
        for (json, storable) in [
            (r#"{"a":"\u0000"}"#, false),
            (r#"{"\u0000":1}"#, false),
            (r#"{"a":"\\u0000"}"#, true),
            (r#"{"a":"\\\u0000"}"#, false),
        ] {
            assert_eq!(
                metadata(json).unstorable("metadata").is_none(),
                storable,
                "{json}"
            );
        }
    }

    #[test]
    fn numbers_keep_their_digits_wherever_they_stand() {
        for number in [
            "18446744073709551616",
            "-98765432109876543210987654321",
            "0.12345678901234567890",
            "1.10",
            "6.02214076e23",
        ] {
            let json = format!(r#"{{"a":[{number},{{"b":{number}}}],"c":{number}}}"#);
            assert_eq!(metadata(&json).as_json(), json);
        }
    }

    #[test]
    fn one_object_has_one_form() {
        let written = "{ \"e\u{301}\" : \"e\\u0301\", \"b\":[ true,null , {} ] }";
        assert_eq!(
            metadata(written).as_json(),
            "{\"b\":[true,null,{}],\"\u{e9}\":\"\u{e9}\"}"
        );
        assert_eq!(
            metadata(written),
            metadata("{\"b\":[true,null,{}],\"\u{e9}\":\"\u{e9}\"}")
        );
    }

    #[test]
    fn unsupported_metadata_is_refused_with_its_limit() {
        assert!(refused(r#"{"a":1,"b":{"a":1,"a":2}}"#).contains("\"a\" twice"));
        assert!(refused("{\"\u{e9}\":1,\"e\\u0301\":2}").contains("twice"));
        assert!(refused(r#"{"a":1e401}"#).contains("exceeds 400"));
        assert!(refused(r#"{"a":1e-99999999999999999999}"#).contains("exceeds 400"));
        let deep =
            |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        assert!(refused(&deep(100_000)).contains("64 levels"));
        assert!(metadata(&deep(64)).unstorable("metadata").is_none());
        for json in ["[]", "\"a\"", "7", "null", "true"] {
            assert!(refused(json).contains("must be a JSON object"), "{json}");
        }
        // Postgres writes 400 digits for each of these.
        let numbers = vec!["1e400"; 50].join(",");
        let wide = metadata(&format!(r#"{{"a":[{numbers}]}}"#));
        assert!(wide.unstorable("metadata").is_some());
    }
}
