//! Filters as people write them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{
    Value, json,
    value::{RawValue, to_raw_value},
};

/// The fields of a request's body, a filter among them as it is written: in a [`Value`], long numbers would be rounded, and of two
/// equal keys one would be lost.
pub(crate) type Fields = BTreeMap<&'static str, Box<RawValue>>;

/// Signs of comparison, a longer one before its beginning, and their operators.
const SIGNS: [(&str, &str); 8] = [
    (">=", "$gte"),
    ("<=", "$lte"),
    ("!=", "$ne"),
    // As programmers and databases write them.
    ("==", "$eq"),
    ("<>", "$ne"),
    (">", "$gt"),
    ("<", "$lt"),
    ("=", "$eq"),
];

/// The fields of a request with these conditions.
pub(crate) fn fields(
    conditions: &[String],
    others: impl IntoIterator<Item = (&'static str, Value)>,
) -> anyhow::Result<Fields> {
    let mut fields = Fields::new();
    for (name, value) in others {
        fields.insert(name, to_raw_value(&value)?);
    }
    fields.extend(filter(conditions)?.map(|filter| ("filter", filter)));
    Ok(fields)
}

/// Reads conditions that all have to hold: each a filter in JSON, or `key=value`, `key!=value`, `key>=value` and so on. A
/// value that is a number, `true`, `false`, `null` or a text in quotation marks is meant as in JSON, any other as a text.
pub(crate) fn filter(conditions: &[String]) -> anyhow::Result<Option<Box<RawValue>>> {
    let mut filters = conditions.iter().map(|condition| read(condition));
    let json = match conditions.len() {
        0 => return Ok(None),
        1 => filters.next().transpose()?.unwrap_or_default(),
        _ => {
            let filters = filters.collect::<anyhow::Result<Vec<_>>>()?;
            format!("{{\"$and\":[{}]}}", filters.join(","))
        }
    };
    Ok(Some(RawValue::from_string(json)?))
}

fn read(condition: &str) -> anyhow::Result<String> {
    if condition.trim_start().starts_with('{') {
        let filter: Box<RawValue> = serde_json::from_str(condition)
            .with_context(|| format!("--filter {condition} is not JSON"))?;
        return Ok(filter.get().to_owned());
    }
    let comparison = condition.char_indices().find_map(|(at, _)| {
        let signed = |(sign, operator)| {
            condition[at..]
                .strip_prefix(sign)
                .map(|value| (operator, value))
        };
        let (operator, value) = SIGNS.into_iter().find_map(signed)?;
        Some((condition[..at].trim(), operator, value.trim()))
    });
    let (key, operator, value) = comparison
        .filter(|(key, ..)| !key.is_empty())
        .with_context(|| {
            format!(
                "--filter {condition} is neither a JSON object nor a condition such as year>=2022"
            )
        })?;
    // The digits of a number stay as they are.
    let value = match serde_json::from_str::<&RawValue>(value) {
        Ok(json) if !json.get().starts_with(['{', '[']) => json.get().to_owned(),
        _ => Value::from(value).to_string(),
    };
    Ok(format!("{{{}:{{\"{operator}\":{value}}}}}", json!(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_a_filter() {
        for (conditions, json) in [
            (&["year>=2022"][..], r#"{"year":{"$gte":2022}}"#),
            (&["year<=2022.50"], r#"{"year":{"$lte":2022.50}}"#),
            (&["lang = fr"], r#"{"lang":{"$eq":"fr"}}"#),
            (&["lang!=fr"], r#"{"lang":{"$ne":"fr"}}"#),
            (&["lang == fr"], r#"{"lang":{"$eq":"fr"}}"#),
            (&["lang<>fr"], r#"{"lang":{"$ne":"fr"}}"#),
            (&["code=\"7\""], r#"{"code":{"$eq":"7"}}"#),
            (&["open=true"], r#"{"open":{"$eq":true}}"#),
            (&["a.b<x=y"], r#"{"a.b":{"$lt":"x=y"}}"#),
            (&["day>2026-03-01"], r#"{"day":{"$gt":"2026-03-01"}}"#),
            (&["title="], r#"{"title":{"$eq":""}}"#),
            (
                &["n=12345678901234567890123"],
                r#"{"n":{"$eq":12345678901234567890123}}"#,
            ),
            (&[r#"{"a": [1]}"#], r#"{"a": [1]}"#),
            (
                &["a=1", r#"{"b":2}"#],
                r#"{"$and":[{"a":{"$eq":1}},{"b":2}]}"#,
            ),
        ] {
            let conditions: Vec<String> = conditions.iter().map(|&text| text.to_owned()).collect();
            let filter = filter(&conditions)
                .expect("it is a filter")
                .expect("it is there");
            assert_eq!(filter.get(), json);
        }
        let body = fields(
            &[r#"{"n": 1e2, "n": 0.12345678901234567890}"#.to_owned()],
            [("limit", json!(3))],
        );
        let body = body.and_then(|body| Ok(serde_json::to_string(&body)?));
        assert_eq!(
            body.expect("a body"),
            r#"{"filter":{"n": 1e2, "n": 0.12345678901234567890},"limit":3}"#
        );
        for wrong in ["year", "=7", "{\"a\":", ""] {
            assert!(filter(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
        assert!(filter(&[]).is_ok_and(|none| none.is_none()));
    }
}
