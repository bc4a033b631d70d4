//! The claims of a token.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::error::{MAX_BYTES, TokenError};

/// The claims of a token that was verified.
#[derive(Clone, Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    /// The claims of a token that API Gateway has verified, which passes on lists as text.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] when it is not a token.
    pub fn verified_by_gateway(token: &str) -> Result<Self, TokenError> {
        if token.len() > MAX_BYTES {
            return Err(TokenError::TOO_LONG);
        }
        // Of repeated headers, which an HTTP API joins with a comma, the gateway may have verified another one.
        let parts: Vec<&str> = token.split('.').collect();
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        match parts.as_slice() {
            [_, claims, _] if parts.iter().all(|part| part.chars().all(is_base64)) => {
                Self::decode(claims)
            }
            _ => Err(TokenError::MALFORMED),
        }
    }

    pub(crate) fn decode(part: &str) -> Result<Self, TokenError> {
        let json = BASE64_URL_SAFE_NO_PAD
            .decode(part)
            .map_err(|_| TokenError::MALFORMED)?;
        let claims = serde_json::from_slice(&json).map_err(|_| TokenError::MALFORMED)?;
        Ok(Self(claims))
    }

    /// The subject; empty if the token has none.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.get("sub").and_then(Value::as_str).unwrap_or_default()
    }

    /// A claim by its name, or else by a path with dots into objects, such as `realm_access.roles`. A null counts as missing.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Value> {
        let found = self.0.get(path).or_else(|| {
            let mut names = path.split('.');
            let first = self.0.get(names.next()?)?;
            names.try_fold(first, |value, name| value.get(name))
        });
        found.filter(|value| !value.is_null())
    }

    /// The words of a claim: issuers write one text with spaces, or a list.
    pub fn words(&self, path: &str) -> impl Iterator<Item = &str> {
        let (one, many) = match self.get(path) {
            Some(Value::Array(texts)) => (None, texts.as_slice()),
            other => (other, [].as_slice()),
        };
        one.into_iter()
            .chain(many)
            .filter_map(Value::as_str)
            .flat_map(|text| text.split(' '))
            .filter(|word| !word.is_empty())
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_before_a_path_leads_to_it() {
        let Value::Object(claims) = json!({
            "https://login.example/roles": ["a", "b c"], "scope": "x y", "nothing": null, "realm_access": { "roles": ["r"] },
        }) else {
            unreachable!("it is an object")
        };
        let claims = Claims(claims);
        let words = |path| claims.words(path).collect::<Vec<_>>();
        assert_eq!(words("https://login.example/roles"), ["a", "b", "c"]);
        assert_eq!(words("scope"), ["x", "y"]);
        assert_eq!(words("realm_access.roles"), ["r"]);
        for missing in ["nothing", "realm_access.none", "scope.x", "", "other"] {
            assert_eq!(claims.get(missing), None, "{missing}");
        }
    }
}
