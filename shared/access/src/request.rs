//! The request for a new key.

use document_store::{Limits, Tenant};
use filter::Filter;
use json::FieldError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{NewKey, Scope};

/// A new key, as the API and the command line describe it.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// What it is for.
    #[schemars(length(min = 1, max = KeyRequest::MAX_NAME_CHARACTERS))]
    pub name: String,
    /// The names of its scopes.
    #[schemars(length(min = 1), inner(regex(pattern = "^(search|chat|write|admin)$")))]
    pub scopes: Vec<String>,
    /// Its tenant; the caller's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Seconds until it expires; never if absent.
    #[serde(
        default,
        deserialize_with = "json::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = KeyRequest::MAX_SECONDS))]
    pub expires_in: Option<i64>,
    /// The filter of the documents that it may see; all of its tenant if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Filter>")]
    pub filter: Option<Box<RawValue>>,
    /// The requests that it may send a minute; no limit if absent.
    #[serde(
        default,
        deserialize_with = "json::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = Limits::MAX_REQUESTS))]
    pub requests_per_minute: Option<i64>,
    /// The documents that its tenant may have when it stores one; no limit if absent.
    #[serde(
        default,
        deserialize_with = "json::whole",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(range(min = 1, max = Limits::MAX_DOCUMENTS))]
    pub max_documents: Option<i64>,
}

impl KeyRequest {
    /// The most characters of a name.
    pub const MAX_NAME_CHARACTERS: usize = 200;
    /// The most seconds until a key expires: ten years.
    pub const MAX_SECONDS: i64 = 10 * 366 * 24 * 60 * 60;

    /// Checks it. `own` is the tenant of whoever asks, and `operates` whether they may ask for another.
    ///
    /// # Errors
    /// One entry per invalid field.
    pub fn parse(self, own: &Tenant, operates: bool) -> Result<NewKey, Vec<FieldError>> {
        let mut errors = Vec::new();
        let characters = self.name.chars().count();
        if self.name.trim().is_empty() || characters > Self::MAX_NAME_CHARACTERS {
            let detail = format!(
                "has {characters} characters; from 1 to {} are allowed",
                Self::MAX_NAME_CHARACTERS
            );
            errors.push(FieldError::new("name", detail));
        } else if self.name.chars().any(char::is_control) {
            errors.push(FieldError::new("name", "holds a control character"));
        }
        let scopes = self.scopes.iter().map(|scope| scope.parse::<Scope>());
        let scopes = kept(scopes.collect(), &mut errors);
        if self.scopes.is_empty() {
            let detail = "is empty; at least one of search, chat, write and admin is expected";
            errors.push(FieldError::new("scopes", detail));
        }
        let tenant = self.tenant.map(|name| Tenant::parse(&name, "tenant"));
        let tenant = kept(tenant.transpose(), &mut errors).flatten();
        if tenant
            .as_ref()
            .is_some_and(|tenant| !operates && tenant != own)
        {
            errors.push(FieldError::new("tenant", "is not the caller's"));
        }
        if self
            .expires_in
            .is_some_and(|seconds| !(1..=Self::MAX_SECONDS).contains(&seconds))
        {
            let detail = format!("must be from 1 to {} seconds", Self::MAX_SECONDS);
            errors.push(FieldError::new("expires_in", detail));
        }
        let filter = self.filter.map(|filter| filter.get().to_owned());
        let checked = filter.as_deref().map(Filter::parse).transpose();
        kept(checked, &mut errors);
        let limits = Limits {
            requests_per_minute: self.requests_per_minute,
            max_documents: self.max_documents,
        };
        errors.extend(limits.check().err().into_iter().flatten());
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(NewKey {
            name: self.name,
            scopes: scopes.unwrap_or_default(),
            tenant: tenant.unwrap_or_else(|| own.clone()),
            expires_in: self.expires_in,
            filter,
            limits,
        })
    }
}

fn kept<T>(outcome: Result<T, FieldError>, errors: &mut Vec<FieldError>) -> Option<T> {
    outcome.map_err(|error| errors.push(error)).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn request(json: Value) -> KeyRequest {
        serde_json::from_value(json).expect("a request")
    }

    #[test]
    fn each_field_that_is_wrong_is_named() {
        let wrong = request(json!({
            "name": " ", "scopes": ["read"], "tenant": "a b", "expires_in": 0, "filter": { "a": { "$like": 1 } },
            "requests_per_minute": 0, "max_documents": -1,
        }));
        let errors = wrong.parse(&Tenant::default(), true).expect_err("errors");
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "name",
                "scopes",
                "tenant",
                "expires_in",
                "filter.a.$like",
                "requests_per_minute",
                "max_documents",
            ]
        );
    }

    #[test]
    fn a_filter_stays_as_it_is_written() {
        let request = |filter: &str| {
            let body = format!(r#"{{"name": "web", "scopes": ["search"], "filter": {filter}}}"#);
            let request: KeyRequest = serde_json::from_str(&body).expect("a request");
            request.parse(&Tenant::default(), true)
        };
        let filter = r#"{"n": 12345678901234567890123}"#;
        let key = request(filter).expect("a key");
        assert_eq!(key.filter.as_deref(), Some(filter));
        let errors = request(r#"{"team": "a", "team": {}}"#).expect_err("a key twice");
        assert_eq!(errors[0].field, "filter");
    }

    #[test]
    fn an_administrator_of_a_tenant_makes_keys_of_that_tenant() {
        let own = Tenant::parse("acme", "tenant").expect("a name");
        let key = json!({ "name": "web", "scopes": ["search"] });
        let parsed = request(key).parse(&own, false).expect("a key");
        assert_eq!(parsed.tenant, own);
        for (tenant, allowed) in [("acme", true), ("", false), ("other", false)] {
            let key = json!({ "name": "web", "scopes": ["search"], "tenant": tenant });
            let parsed = request(key).parse(&own, false);
            assert_eq!(parsed.is_ok(), allowed, "{tenant}");
        }
    }
}
