//! A forced filter with the values of a token's claims.

use std::{fmt, slice};

use filter::Filter;
use json::FieldError;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};
use tokens::Claims;

/// A filter in which each text `$claims.NAME` stands for a claim.
#[derive(Clone, Debug)]
pub(crate) struct ClaimFilter(Part);

/// A part of the filter's JSON. Anything but a claim keeps its text, so that numbers keep their digits and duplicate keys are
/// refused by the filter language.
#[derive(Clone, Debug)]
enum Part {
    /// The name of a claim.
    Claim(String),
    Written(String),
    List(Vec<Part>),
    Object(Vec<(String, Part)>),
}

const CLAIM: &str = "$claims.";

/// Matches no document.
const NOTHING: &str = r#"{"$id": {"$in": []}}"#;

impl ClaimFilter {
    /// Reads one, and tries it with claims that are texts.
    pub(crate) fn parse(json: &str) -> Result<Self, FieldError> {
        // A value has a limited depth.
        let parsed =
            serde_json::from_str::<Value>(json).and_then(|_| serde_json::from_str::<Part>(json));
        let Ok(template) = parsed else {
            // The filter language's own errors name the place.
            return Err(Filter::parse(json)
                .err()
                .unwrap_or_else(|| FieldError::new("filter", "is not JSON")));
        };
        let example = Value::from("example");
        let tried = template.filled(&|_| Some(&example), false);
        Filter::parse(&tried.unwrap_or_default())?;
        Ok(Self(template))
    }

    /// The filter of a token. A claim that is missing, or neither a scalar nor a list of scalars, makes it match nothing; an empty
    /// list too, but in `$in` and `$nin`, where it says what it means: as a value it would be in whatever list a document has.
    pub(crate) fn of(&self, claims: &Claims) -> Result<Filter, FieldError> {
        let filter = self.0.filled(&|name| claims.get(name), false);
        Filter::parse(filter.as_deref().unwrap_or(NOTHING))
    }
}

impl Part {
    /// The JSON with its claims; `None` if one cannot be used. As an operand of a list operator, a single claim is a list of one:
    /// issuers write it without brackets.
    fn filled<'c>(
        &self,
        claim: &dyn Fn(&str) -> Option<&'c Value>,
        listed: bool,
    ) -> Option<String> {
        match self {
            Self::Claim(name) => {
                let found = claim(name)?;
                let values = values(found, listed)?.join(",");
                Some(if listed || found.is_array() {
                    format!("[{values}]")
                } else {
                    values
                })
            }
            Self::Written(json) => Some(json.clone()),
            Self::List(items) => {
                let items = items.iter().map(|item| match item {
                    // The values of a claim stand beside those that are written.
                    Self::Claim(name) => values(claim(name)?, listed),
                    item => Some(vec![item.filled(claim, false)?]),
                });
                let items: Vec<Vec<String>> = items.collect::<Option<_>>()?;
                Some(format!("[{}]", items.concat().join(",")))
            }
            Self::Object(members) => {
                let members = members.iter().map(|(key, part)| {
                    let listed = matches!(key.as_str(), "$in" | "$nin");
                    let key = Value::from(key.as_str());
                    Some(format!("{key}:{}", part.filled(claim, listed)?))
                });
                let members: Vec<String> = members.collect::<Option<_>>()?;
                Some(format!("{{{}}}", members.join(",")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let json = raw.get();
        let part = match json.as_bytes().first() {
            Some(b'{') => serde_json::from_str(json).map(|Members(members)| Self::Object(members)),
            Some(b'[') => serde_json::from_str(json).map(Self::List),
            Some(b'"') => serde_json::from_str::<String>(json).map(|text| {
                let claim = text.strip_prefix(CLAIM);
                claim.map_or_else(
                    || Self::Written(json.to_owned()),
                    |name| Self::Claim(name.to_owned()),
                )
            }),
            _ => Ok(Self::Written(json.to_owned())),
        };
        part.map_err(D::Error::custom)
    }
}

/// The members of an object in their order.
struct Members(Vec<(String, Part)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;

        impl<'de> Visitor<'de> for Keys {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Keys)
    }
}

/// The values of a claim as JSON; `None` if it cannot be used: an object could hold operators, and so widen the filter.
fn values(claim: &Value, listed: bool) -> Option<Vec<String>> {
    let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    let values = match claim {
        Value::Array(values) => values.as_slice(),
        one => slice::from_ref(one),
    };
    let is_usable = values.iter().all(is_scalar) && (listed || !values.is_empty());
    is_usable.then(|| values.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::json;

    use super::*;

    fn of(template: &str, claims: &Value) -> Filter {
        let template = ClaimFilter::parse(template).expect(template);
        // The head and the signature do not matter here.
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let token = format!("e30.{claims}.");
        let claims = Claims::verified_by_gateway(&token).expect("claims");
        template.of(&claims).expect("a filter")
    }

    fn filter(json: &str) -> Filter {
        Filter::parse(json).expect(json)
    }

    const GROUPS: &str = r#"{"groups": {"$in": "$claims.groups"}}"#;

    #[test]
    fn claims_stand_where_the_filter_names_them() {
        let claims = json!({ "groups": ["a", "b"], "org": { "team": 7 } });
        assert_eq!(
            of(GROUPS, &claims),
            filter(r#"{"groups": {"$in": ["a", "b"]}}"#)
        );
        assert_eq!(
            of(
                r#"{"$or": [{"team": "$claims.org.team"}, {"public": true}]}"#,
                &claims
            ),
            filter(r#"{"$or": [{"team": 7}, {"public": true}]}"#)
        );
        let long = r#"{"n": 12345678901234567890123, "$id": "$claims.groups"}"#;
        assert_eq!(
            of(long, &json!({ "groups": "a" })),
            filter(r#"{"n": 12345678901234567890123, "$id": "a"}"#)
        );
        assert_eq!(
            of(GROUPS, &json!({ "groups": "a" })),
            filter(r#"{"groups": {"$in": ["a"]}}"#)
        );
    }

    #[test]
    fn without_the_claim_nothing_is_visible() {
        let nothing = filter(NOTHING);
        for claims in [
            json!({}),
            json!({ "groups": null }),
            json!({ "groups": { "$exists": true } }),
            json!({ "groups": [{ "$exists": true }] }),
            json!({ "groups": [["a"]] }),
            json!({ "group": ["a"] }),
        ] {
            assert_eq!(of(GROUPS, &claims), nothing, "{claims}");
        }
        let either = r#"{"$or": [{"team": "$claims.team"}, {"public": true}]}"#;
        assert_eq!(of(either, &json!({})), nothing);
        let none = json!({ "groups": [] });
        assert_eq!(of(GROUPS, &none), filter(r#"{"groups": {"$in": []}}"#));
        for template in [
            r#"{"groups": "$claims.groups"}"#,
            r#"{"groups": ["$claims.groups"]}"#,
            r#"{"groups": {"$ne": "$claims.groups"}}"#,
            r#"{"$not": {"groups": "$claims.groups"}}"#,
        ] {
            assert_eq!(of(template, &none), nothing, "{template}");
        }
    }

    #[test]
    fn the_values_of_a_claim_stand_beside_those_that_are_written() {
        let template = r#"{"groups": {"$in": ["public", "$claims.groups"]}}"#;
        for (groups, expected) in [
            (json!(["a", "b"]), r#"["public", "a", "b"]"#),
            (json!("a"), r#"["public", "a"]"#),
            (json!([]), r#"["public"]"#),
        ] {
            let expected = filter(&format!(r#"{{"groups": {{"$in": {expected}}}}}"#));
            assert_eq!(of(template, &json!({ "groups": groups })), expected);
        }
        let all = of(
            r#"{"groups": ["x", "$claims.groups"]}"#,
            &json!({ "groups": ["a", "b"] }),
        );
        assert_eq!(all, filter(r#"{"groups": ["x", "a", "b"]}"#));
    }

    #[test]
    fn a_filter_that_could_never_work_is_refused_when_it_is_read() {
        for template in [
            "",
            "[]",
            r#"{"a": {"$unknown": "$claims.a"}}"#,
            "{",
            r#""$claims.a""#,
            r#"{"team": "$claims.a", "team": {"$exists": true}}"#,
        ] {
            ClaimFilter::parse(template).expect_err(template);
        }
    }
}
