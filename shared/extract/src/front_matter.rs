//! Front matter: YAML between lines of `---`, or TOML between lines of `+++`, at the beginning of a text.

use serde_json::{Map, Value};
use serde_saphyr::NonFiniteFloatPolicy;

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
/// telephone numbers and codes are written so; and one that is too large, such as the hash `12e5678`, does not refuse the file.
fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| first_line(&error))
}

/// TOML's dates become texts.
fn toml(text: &str) -> Result<Value, String> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| error.message().to_owned())?;
    Ok(json(toml::Value::Table(table)))
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => {
            let members = table.into_iter().map(|(key, value)| (key, json(value)));
            Value::Object(members.collect())
        }
    }
}

fn first_line(error: &impl std::fmt::Display) -> String {
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
        let text = "---\nlang: no\ntel: 0612345678\ncode: 12_34\nhash: 12e5678\ndraft: true\nyear: 2026\n---\n";
        let (metadata, _) = split(text).expect("front matter");
        let expected = serde_json::json!({
            "lang": "no", "tel": "0612345678", "code": "12_34", "hash": ".inf", "draft": true, "year": 2026,
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
