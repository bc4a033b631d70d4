//! What JSON from outside must look like, and how a wrong shape is told.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

/// A value that is read from a JSON object alone. What serde derives for a struct also takes a list, whose
/// elements it assigns to the fields by their position: columns in another order would land in the wrong fields.
#[derive(Clone, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// What serde says of a wrong shape, in the words of JSON: its own name the types of the program.
#[must_use]
pub fn in_words_of_json(message: &str) -> String {
    const FOUND: [(&str, &str); 5] = [
        ("invalid type: sequence", "invalid type: a list"),
        ("invalid type: map", "invalid type: an object"),
        (
            "invalid type: floating point",
            "invalid type: the decimal number",
        ),
        ("invalid type: integer", "invalid type: the number"),
        ("invalid value: integer", "invalid value: the number"),
    ];
    let mut text = message.to_owned();
    for (from, to) in FOUND {
        if let Some(rest) = text.strip_prefix(from) {
            text = format!("{to}{rest}");
            break;
        }
    }
    let Some((found, expected)) = text.split_once(", expected ") else {
        return text;
    };
    let (expected, place) = match expected.split_once(" at line ") {
        Some((expected, place)) => (expected, format!(" at line {place}")),
        None => (expected, String::new()),
    };
    format!("{found}, expected {}{place}", json_type(expected))
}

/// The JSON type of what serde expected.
fn json_type(expected: &str) -> &str {
    match expected.split_whitespace().next().unwrap_or_default() {
        "i8" | "i16" | "i32" | "i64" | "isize" | "u8" | "u16" | "u32" | "u64" | "usize" => {
            "a whole number"
        }
        "f32" | "f64" => "a number",
        "struct" | "map" => "an object",
        "enum" | "variant" => "a text",
        "tuple" => "a list",
        _ => match expected {
            "a map" | "object" => "an object",
            "a sequence" => "a list",
            "a string" | "string or map" => "a text",
            "a boolean" => "true or false",
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Point {
        #[expect(dead_code, reason = "only its shape matters")]
        x: f64,
        #[expect(dead_code, reason = "only its shape matters")]
        y: Option<i32>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    fn told<T: fmt::Debug + for<'de> Deserialize<'de>>(json: &str) -> String {
        let error = serde_json::from_str::<T>(json).expect_err(json);
        in_words_of_json(&error.to_string())
    }

    #[test]
    fn a_list_is_no_object_whatever_it_holds() {
        assert!(serde_json::from_str::<Object<Point>>(r#"{"x": 1}"#).is_ok());
        for list in ["[]", "[1, 2]", "[[1, 2]]"] {
            assert!(
                told::<Object<Point>>(list).starts_with("invalid type: a list, expected an object")
            );
        }
        assert!(serde_json::from_str::<Vec<Object<Point>>>("[[1, 2]]").is_err());
    }

    #[test]
    fn a_message_names_no_type_of_the_program() {
        for (told, words) in [
            (told::<Point>("7"), "the number `7`, expected an object"),
            (
                told::<Object<Point>>(r#"{"x": "a"}"#),
                "string \"a\", expected a number",
            ),
            (
                told::<Object<Point>>(r#"{"x": 1, "y": 1.5}"#),
                "the decimal number `1.5`, expected a whole number",
            ),
            (told::<Vec<i32>>("{}"), "an object, expected a list"),
            (told::<String>("[1]"), "a list, expected a text"),
            (told::<bool>("{}"), "an object, expected true or false"),
            (told::<Colour>("3"), "expected"),
            (told::<Colour>("\"blue\""), "expected `red`"),
        ] {
            assert!(told.contains(words), "{told}");
            for name in [
                "struct", "Point", "Colour", "i32", "f64", "sequence", "map", "enum",
            ] {
                assert!(!told.contains(name), "{told}");
            }
        }
    }
}
