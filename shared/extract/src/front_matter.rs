//! Front matter: YAML between lines of `---`, or TOML between lines of `+++`, at the beginning of a text.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};
use serde_saphyr::NonFiniteFloatPolicy;
use toml::de::{DeTable, DeValue};

use crate::Reason;

/// The front matter of a text and what is behind it. A text that begins with a line across the page has none.
pub(super) fn split(text: &str) -> Result<(Map<String, Value>, &str), Reason> {
    for (mark, read) in [("---", yaml as fn(&str) -> _), ("+++", toml)] {
        let Some((matter, body)) = between(text, mark) else {
            continue;
        };
        if matter.trim().is_empty() {
            return Ok((Map::new(), body));
        }
        return match read(matter) {
            Ok(Value::Object(metadata)) => Ok((metadata, body)),
            // A text between two lines across the page.
            Ok(_) => Ok((Map::new(), text)),
            Err(cause) => Err(Reason::Broken(format!(
                "its front matter is not valid: {cause}"
            ))),
        };
    }
    Ok((Map::new(), text))
}

/// What is between the first line, which is `mark`, and the next such line.
fn between<'t>(text: &'t str, mark: &str) -> Option<(&'t str, &'t str)> {
    let (first, rest) = text.split_once('\n')?;
    if first.trim_end() != mark {
        return None;
    }
    let mut position = 0;
    for line in rest.split_inclusive('\n') {
        let end = position + line.len();
        let line = line.trim_end();
        if line == mark || (mark == "---" && line == "...") {
            return Some((&rest[..position], &rest[end..]));
        }
        position = end;
    }
    None
}

/// As YAML 1.2 has it, `no` is a text, such as the code of Norwegian. Numbers with leading zeros or underscores are texts, because
/// telephone numbers and codes are written so.
fn yaml(text: &str) -> Result<Value, String> {
    let options = || {
        serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        }
    };
    let mut value: Value =
        serde_saphyr::from_str_with_options(text, options()).map_err(|error| first_line(&error))?;
    // What follows a tag such as `!!float`, which demands a number, stays as YAML has it.
    let _ = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |yaml| {
        AsWritten(&mut value).deserialize(yaml)
    });
    Ok(value)
}

/// A value as YAML has it, to be compared with a second reading, of its scalars as they are written.
struct AsWritten<'v>(&'v mut Value);

impl<'de> DeserializeSeed<'de> for AsWritten<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<(), D::Error> {
        match self.0 {
            Value::Null | Value::Bool(_) => IgnoredAny::deserialize(yaml).map(drop),
            Value::Number(_) => {
                *self.0 = number(&String::deserialize(yaml)?);
                Ok(())
            }
            // An infinite number is one here.
            Value::String(text) => {
                *text = String::deserialize(yaml)?;
                Ok(())
            }
            Value::Array(_) => yaml.deserialize_seq(self),
            Value::Object(_) => yaml.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for AsWritten<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the same list or mapping")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for item in self.0.as_array_mut().into_iter().flatten() {
            items.next_element_seed(AsWritten(item))?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(key) = members.next_key::<String>()? {
            match self.0.get_mut(&key) {
                Some(value) => members.next_value_seed(AsWritten(value))?,
                None => members.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// A number, if JSON has it but for a plus and the zero before a point. Otherwise the text, because a very long one would lose
/// digits, and because digits around an `e` are rather the hash of a commit (`1e10`, `12e5678`), and many behind a plus a telephone
/// number.
fn number(written: &str) -> Value {
    const MOST_BEHIND_A_PLUS: usize = 6;
    let unsigned = written.strip_prefix(['+', '-']).unwrap_or(written);
    let is_whole = unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let is_telephone = written.starts_with('+') && is_whole && unsigned.len() > MOST_BEHIND_A_PLUS;
    let has_exponent = written.contains(['e', 'E']);
    let is_hash = has_exponent && written.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_telephone || is_hash {
        return written.into();
    }
    let minus = if written.starts_with('-') { "-" } else { "" };
    let zero = if unsigned.starts_with('.') { "0" } else { "" };
    serde_json::from_str::<Number>(&format!("{minus}{zero}{unsigned}"))
        .ok()
        // A whole number that is too long for an integer is read as one with a fraction.
        .filter(|number| number.is_f64() != is_whole)
        .map_or_else(|| written.into(), Value::Number)
}

/// TOML's dates become texts.
fn toml(text: &str) -> Result<Value, String> {
    let table = DeTable::parse(text).map_err(|error| error.message().to_owned())?;
    Ok(json(DeValue::Table(table.into_inner())))
}

fn json(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => text.into(),
        DeValue::Integer(written) => number(&written.to_string()),
        DeValue::Float(written) => number(written.as_str()),
        DeValue::Boolean(value) => value.into(),
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(values) => {
            let values = values.into_iter().map(|value| json(value.into_inner()));
            values.collect()
        }
        DeValue::Table(table) => {
            let members = table.into_iter().map(|(key, value)| {
                let key = key.into_inner().into_owned();
                (key, json(value.into_inner()))
            });
            Value::Object(members.collect())
        }
    }
}

fn first_line(error: &impl fmt::Display) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_mapping_between_two_marks_is_front_matter() {
        for text in [
            "--- \nno end",
            "---\nA quiet paragraph.\n---\nbody",
            "text\n---\na: 1\n---\n",
            "---",
        ] {
            assert_eq!(split(text), Ok((Map::new(), text)), "{text}");
        }
        assert_eq!(split("---\n---\nbody"), Ok((Map::new(), "body")));
        let (metadata, body) = split("---\na: 1\n...\nbody").expect("front matter");
        assert_eq!((metadata["a"].as_i64(), body), (Some(1), "body"));
    }

    #[test]
    fn only_numbers_to_count_with_and_true_and_false_are_no_texts() {
        let text = "---\nlang: no\ntel: 0612345678\ncode: 12_34\ndraft: true\nyear: 2026\nnext: ~\nhash: 12e5678\n\
                    commits: [1e10, {short: 7e2}]\nphone: +33612345678\nmask: 0x1F\nmost: .Inf\nsame: \"12\"\n\
                    id: 340282366920938463463374607431768211456\nlatitude: -48.850\n---\n";
        let (metadata, _) = split(text).expect("front matter");
        let expected = serde_json::json!({
            "lang": "no", "tel": "0612345678", "code": "12_34", "draft": true, "year": 2026, "next": null,
            "hash": "12e5678", "commits": ["1e10", {"short": "7e2"}], "phone": "+33612345678", "mask": "0x1F",
            "most": ".Inf", "same": "12", "id": "340282366920938463463374607431768211456", "latitude": -48.85,
        });
        assert_eq!(Value::from(metadata), expected);
    }

    #[test]
    fn numbers_with_a_sign_or_a_point_are_told_from_hashes_and_telephone_numbers() {
        let text = "---\nrate: 1e-4\np: 1.5E-7\nmost: -2e+3\nweight: .5\nleast: -.5\noffset: +1\nshift: +1.25\n\
                    hash: 1e10\nother: 7E2\nmost_behind: +336123\nphone: +3361234\nhuge: 1.5e999\n---\n";
        let (metadata, _) = split(text).expect("front matter");
        let expected = serde_json::json!({
            "rate": 1e-4, "p": 1.5e-7, "most": -2000.0, "weight": 0.5, "least": -0.5, "offset": 1, "shift": 1.25,
            "hash": "1e10", "other": "7E2", "most_behind": 336_123, "phone": "+3361234", "huge": "1.5e999",
        });
        assert_eq!(Value::from(metadata), expected);
    }

    #[test]
    fn numbers_of_toml_that_json_does_not_have_are_texts() {
        let text = "+++\nyear = 2026\nviews = 1_000\nlatitude = 48.850\nhashes = [12e5678, 1e10]\nmask = 0x1f\nmost = inf\n+++\n";
        let (metadata, _) = split(text).expect("front matter");
        let expected = serde_json::json!({
            "year": 2026, "views": 1000, "latitude": 48.85, "hashes": ["12e5678", "1e10"], "mask": "0x1f", "most": "inf",
        });
        assert_eq!(Value::from(metadata), expected);
    }

    #[test]
    fn front_matter_that_is_not_valid_is_refused() {
        for text in ["---\na: [1\n---\nbody", "+++\na = \n+++\nbody"] {
            let reason = split(text).expect_err(text);
            assert!(reason.to_string().contains("front matter"), "{reason}");
        }
    }
}
