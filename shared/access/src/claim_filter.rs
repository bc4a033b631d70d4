//! A forced filter with the values of a token's claims.

use filter::Filter;
use json::FieldError;
use serde_json::{Value, json};
use tokens::Claims;

/// A filter in which each text `$claims.NAME` stands for a claim.
#[derive(Clone, Debug)]
pub(crate) struct ClaimFilter(Value);

const CLAIM: &str = "$claims.";

/// Matches no document.
const NOTHING: &str = r#"{"$id": {"$in": []}}"#;

impl ClaimFilter {
    /// Reads one, and tries it with claims that are texts.
    pub(crate) fn parse(json: &str) -> Result<Self, FieldError> {
        // The filter language's own errors name the place.
        let template: Value = match serde_json::from_str(json) {
            Ok(template) => template,
            Err(_) => {
                return Err(Filter::parse(json)
                    .err()
                    .unwrap_or_else(|| FieldError::new("filter", "is not JSON")));
            }
        };
        let template = Self(template);
        let example = json!("example");
        let tried = filled(&template.0, &|_| Some(&example), false);
        Filter::parse(&tried.unwrap_or_default().to_string())?;
        Ok(template)
    }

    /// The filter of a token. A claim that is missing, or neither a scalar nor a list of scalars, makes it match nothing.
    pub(crate) fn of(&self, claims: &Claims) -> Result<Filter, FieldError> {
        match filled(&self.0, &|name| claims.get(name), false) {
            Some(filter) => Filter::parse(&filter.to_string()),
            None => Filter::parse(NOTHING),
        }
    }
}

/// The value with its claims; `None` if one is missing. As an operand of a list operator, a single claim is a list of one:
/// issuers write it without brackets.
fn filled<'c>(
    value: &Value,
    claim: &dyn Fn(&str) -> Option<&'c Value>,
    listed: bool,
) -> Option<Value> {
    match value {
        Value::String(text) => {
            let Some(name) = text.strip_prefix(CLAIM) else {
                return Some(value.clone());
            };
            let found = claim(name).filter(|found| is_plain(found))?;
            Some(match found {
                one if listed && !one.is_array() => json!([one]),
                found => found.clone(),
            })
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| filled(item, claim, false));
            items.collect::<Option<_>>().map(Value::Array)
        }
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| {
                let listed = matches!(key.as_str(), "$in" | "$nin");
                Some((key.clone(), filled(value, claim, listed)?))
            });
            members.collect::<Option<_>>().map(Value::Object)
        }
        other => Some(other.clone()),
    }
}

/// An object could hold operators, and so widen the filter.
fn is_plain(value: &Value) -> bool {
    let is_scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match value {
        Value::Array(items) => items.iter().all(is_scalar),
        one => is_scalar(one),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

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
    }

    #[test]
    fn a_filter_that_could_never_work_is_refused_when_it_is_read() {
        for template in [
            "",
            "[]",
            r#"{"a": {"$unknown": "$claims.a"}}"#,
            "{",
            r#""$claims.a""#,
        ] {
            ClaimFilter::parse(template).expect_err(template);
        }
    }
}
