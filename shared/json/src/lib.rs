//! Strict parsing of callers' JSON: objects only by field names, and errors in JSON's terms.
//!
//! serde also reads a struct from a list, by position, so values in another order land in the wrong fields; and its
//! messages name Rust types. This module prevents both.

mod field_error;
mod words;

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeOwned, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor,
        value::{Error as ProbeError, MapAccessDeserializer},
    },
    forward_to_deserialize_any,
};
use serde_json::error::Category;

use self::words::after;
pub use self::{field_error::FieldError, words::in_words};

/// A `T` that is written as a JSON object. Wraps the struct fields of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, schemars::JsonSchema)]
#[schemars(inline)]
pub struct Object<T>(pub T);

/// Why a body cannot be parsed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not JSON.
    #[error("malformed JSON: {0}")]
    Malformed(String),
    /// It is JSON of the wrong shape.
    #[error(transparent)]
    Shape(#[from] FieldError),
}

/// Parses a request: a JSON object and nothing after it. Skips a byte order mark.
///
/// # Errors
/// [`JsonError::Malformed`], or [`JsonError::Shape`] with the path of the wrong field.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(JsonError::Malformed("the body is empty".to_owned()));
    }
    if let Err(error) = std::str::from_utf8(bytes) {
        let at = error.valid_up_to();
        return Err(JsonError::Malformed(format!("byte {at} is not UTF-8")));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| refusal(bytes, &error))?;
    deserializer
        .end()
        .map_err(|error| JsonError::Malformed(error.to_string()))?;
    Ok(value)
}

/// Reads an integer, also written as `10.0`; for `#[serde(deserialize_with)]`.
///
/// # Errors
/// When it is not a number, or has a fraction.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_option(Whole)
}

/// `number` as an integer. Beyond 64 bits it saturates: a limit rejects it.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    reason = "it has no fraction, and saturates"
)]
pub fn integral(number: f64) -> Option<i64> {
    (number.fract() == 0.0).then_some(number as i64)
}

/// The error, with the path of the field.
fn refusal(bytes: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> JsonError {
    let cause = error.inner();
    // serde_json reports some wrong shapes as syntax errors: a number in place of a string, deep nesting.
    if cause.classify() != Category::Data && serde_json::from_slice::<IgnoredAny>(bytes).is_err() {
        return JsonError::Malformed(cause.to_string());
    }
    let message = cause.to_string();
    let mut path = error.path().to_string();
    // For a missing or duplicate field, the path is that of its object.
    if let Some(name) = after(&message, &["missing field `", "duplicate field `"])
        .and_then(|rest| rest.split('`').next())
    {
        path = if path == "." {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
    }
    let field = if path == "." { "body".to_owned() } else { path };
    FieldError::new(field, in_words(&message)).into()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ByName(PhantomData))
    }
}

/// Accepts only objects.
struct ByName<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ByName<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: &[&str] = &[];
        // The probe has no content, so this always fails; only the requested names matter.
        let _ = T::deserialize(Names(&mut names));
        match names {
            [] => f.write_str("an object"),
            [name] => write!(f, "an object with the field {name}"),
            names => write!(f, "an object with the fields {}", names.join(", ")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// Learns a struct's field names from its calls to the deserializer.
struct Names<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = ProbeError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ProbeError> {
        Err(ProbeError::custom("there is nothing to read"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ProbeError> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Whole;

impl<'de> Visitor<'de> for Whole {
    type Value = Option<i64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Some(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Some(i64::try_from(number).unwrap_or(i64::MAX)))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Self::Value, E> {
        integral(number)
            .map(Some)
            .ok_or_else(|| E::invalid_type(Unexpected::Float(number), &self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        #[expect(dead_code, reason = "only its shape matters")]
        items: Vec<Object<Item>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Item {
        #[expect(dead_code, reason = "only its shape matters")]
        title: String,
        #[serde(default, deserialize_with = "whole")]
        pages: Option<i64>,
        #[expect(dead_code, reason = "only its shape matters")]
        weight: Option<f64>,
        #[expect(dead_code, reason = "only its shape matters")]
        sold: Option<bool>,
        #[expect(dead_code, reason = "only its shape matters")]
        kind: Option<Kind>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Book,
        Map,
    }

    fn refused(body: &str) -> FieldError {
        match from_slice::<Batch>(body.as_bytes()) {
            Err(JsonError::Shape(error)) => error,
            other => panic!("{body}: {other:?}"),
        }
    }

    fn item(fields: &str) -> FieldError {
        refused(&format!(r#"{{"items":[{{"title":"a",{fields}}}]}}"#))
    }

    #[test]
    fn a_wrong_shape_names_its_field_and_what_it_must_be() {
        for (body, field, detail) in [
            (
                r#"{"items":[{"title":"a"},{"title":1}]}"#,
                "items[1].title",
                "is 1, not a string",
            ),
            (
                r#"{"items":[{"titel":"a"}]}"#,
                "items[0].titel",
                "is not a field; expected one of `title`, `pages`, `weight`, `sold`, `kind`",
            ),
            (r#"{"items":[{}]}"#, "items[0].title", "is missing"),
            (r#"{"items":7}"#, "items", "is 7, not a list"),
            ("{}", "items", "is missing"),
            (
                r#"{"items":[],"items":[]}"#,
                "items",
                "is given more than once",
            ),
            (
                "[]",
                "body",
                "is a list, not an object with the field items",
            ),
            ("7", "body", "is 7, not an object with the field items"),
            (
                "\"a\"",
                "body",
                "is a string, not an object with the field items",
            ),
            (
                r#"{"items":[["a",1,1,true,"book"]]}"#,
                "items[0]",
                "is a list, not an object with the fields title, pages, weight, sold, kind",
            ),
        ] {
            assert_eq!(refused(body), FieldError::new(field, detail), "{body}");
        }
    }

    #[test]
    fn no_message_names_a_type_of_rust() {
        for (fields, detail) in [
            (r#""pages":"x""#, "is a string, not a whole number"),
            (r#""pages":1.5"#, "is 1.5, not a whole number"),
            (r#""pages":[1]"#, "is a list, not a whole number"),
            (r#""weight":"x""#, "is a string, not a number"),
            (r#""weight":{}"#, "is an object, not a number"),
            (r#""sold":1"#, "is 1, not true or false"),
            (r#""kind":"globe""#, "must be `book` or `map`"),
            (r#""kind":7"#, "must be a string"),
            (r#""kind":[]"#, "must be a string"),
            (r#""weight":1e999"#, "number out of range"),
        ] {
            assert_eq!(item(fields).detail, detail, "{fields}");
        }
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        let pages = |text: &str| {
            let item = format!(r#"{{"title":"a","pages":{text}}}"#);
            from_slice::<Item>(item.as_bytes())
                .expect("it is a whole number")
                .pages
        };
        assert_eq!(pages("10.0"), Some(10));
        assert_eq!(pages("1e1"), Some(10));
        assert_eq!(pages("10"), Some(10));
        assert_eq!(pages("null"), None);
        assert_eq!(pages("18446744073709551615"), Some(i64::MAX));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for body in [
            "",
            " \n",
            "{",
            "{}}",
            "nul",
            "\u{feff}",
            "\u{feff}\u{feff}{}",
        ] {
            let outcome = from_slice::<serde_json::Value>(body.as_bytes());
            assert!(
                matches!(outcome, Err(JsonError::Malformed(_))),
                "{body:?}: {outcome:?}"
            );
        }
        let latin = from_slice::<serde_json::Value>(b"{\"a\": \"\xe9\"}");
        assert!(
            matches!(&latin, Err(JsonError::Malformed(detail)) if detail == "byte 7 is not UTF-8"),
            "{latin:?}"
        );
        from_slice::<serde_json::Value>("\u{feff}{}".as_bytes()).expect("a mark is passed over");
    }
}
