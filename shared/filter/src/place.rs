//! JSON text, parsed one level at a time, so that numbers keep their original digits.

use std::{collections::HashSet, fmt};

use json::FieldError;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The largest exponent of ten of a number, positive or negative, as in metadata.
const MAX_EXPONENT: u32 = 400;

/// A value with unparsed members or elements.
#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    /// As it was written.
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    /// In the order of the text; each key once.
    Object(Vec<(String, &'a RawValue)>),
}

/// Where a value is within the filter.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    within: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Key(&'a str),
    Element(usize),
}

impl Value<'_> {
    /// What it is, for a message.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(number) => (*number).to_owned(),
            Self::Text(_) => "a string".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Object(_) => "an object".to_owned(),
        }
    }
}

impl<'a> Place<'a> {
    /// A field of a request.
    pub(crate) fn field(name: &'a str) -> Self {
        Self {
            within: None,
            step: Step::Key(name),
        }
    }

    pub(crate) fn key(&'a self, key: &'a str) -> Self {
        Self {
            within: Some(self),
            step: Step::Key(key),
        }
    }

    pub(crate) fn element(&'a self, index: usize) -> Self {
        Self {
            within: Some(self),
            step: Step::Element(index),
        }
    }

    pub(crate) fn error(&self, detail: impl Into<String>) -> FieldError {
        FieldError::new(self.to_string(), detail)
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.within, self.step) {
            (None, Step::Key(key)) => f.write_str(key),
            (None, Step::Element(index)) => write!(f, "[{index}]"),
            (Some(within), Step::Key(key)) => write!(f, "{within}.{key}"),
            (Some(within), Step::Element(index)) => write!(f, "{within}[{index}]"),
        }
    }
}

/// Reads one level of a value. Texts and keys come in Unicode's normal form C, as they are stored.
pub(crate) fn read<'a>(json: &'a str, place: &Place<'_>) -> Result<Value<'a>, FieldError> {
    let json = json.trim_ascii();
    match json.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = parsed(json, place)?;
            let mut seen = HashSet::new();
            for (key, _) in &members {
                check_text(key, place)?;
                if !seen.insert(key) {
                    return Err(place.error(format!("has the key {key:?} twice")));
                }
            }
            Ok(Value::Object(members))
        }
        Some(b'[') => parsed(json, place).map(Value::List),
        Some(b'"') => {
            let text: String = parsed(json, place)?;
            check_text(&text, place)?;
            Ok(Value::Text(normalised(text)))
        }
        Some(b't' | b'f') => parsed(json, place).map(Value::Bool),
        Some(b'n') => parsed(json, place).map(|()| Value::Null),
        _ => {
            parsed::<&RawValue>(json, place)?;
            check_number(json, place)?;
            Ok(Value::Number(json))
        }
    }
}

fn parsed<'a, T: Deserialize<'a>>(json: &'a str, place: &Place<'_>) -> Result<T, FieldError> {
    serde_json::from_str(json).map_err(|error| place.error(format!("is not JSON: {error}")))
}

pub(crate) fn check_text(text: &str, place: &Place<'_>) -> Result<(), FieldError> {
    if text.contains('\0') {
        return Err(place.error("contains a NUL character (U+0000), which Postgres cannot store"));
    }
    Ok(())
}

fn check_number(number: &str, place: &Place<'_>) -> Result<(), FieldError> {
    let Some((_, exponent)) = number.split_once(['e', 'E']) else {
        return Ok(());
    };
    match exponent.trim_start_matches(['+', '-']).parse::<u32>() {
        Ok(exponent) if exponent <= MAX_EXPONENT => Ok(()),
        _ => Err(place.error(format!(
            "is the number {number}, whose exponent exceeds {MAX_EXPONENT}"
        ))),
    }
}

/// The text in Unicode's normal form C.
pub(crate) fn normalised(text: String) -> String {
    if is_nfc(&text) {
        text
    } else {
        text.nfc().collect()
    }
}

/// The members of an object.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((normalised(key), value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}
