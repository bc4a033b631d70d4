//! Callers that present a token of an issuer.

use std::env;

use document_store::{Tenant, Visibility};
use serde_json::Value;
use settings::ConfigError;
use tokens::{Claims, StartError, TokenError, Verifier};

use crate::{Caller, Denied, Scope, Scopes, claim_filter::ClaimFilter};

/// How tokens are verified, and what their claims mean.
#[derive(Debug)]
pub(crate) struct Bearers {
    verifier: Verifier,
    /// The claims that hold scopes or roles.
    scope_claims: Vec<String>,
    /// The word of the issuer for each scope; `None` if every token has it.
    scopes: Vec<(Scope, Option<String>)>,
    tenant_claim: Option<String>,
    filter: Option<ClaimFilter>,
}

impl Bearers {
    /// Reads `JWT_ISSUER`, `JWT_AUDIENCE`, `JWT_READ_SCOPE`, `JWT_WRITE_SCOPE`, `JWT_ADMIN_SCOPE`, `JWT_SCOPE_CLAIM`,
    /// `JWT_TENANT_CLAIM` and `JWT_FILTER`.
    pub(crate) fn from_env() -> Result<Self, StartError> {
        const FILTER: &str = "JWT_FILTER";
        // Empty differs from unset: it requires no scope.
        let word = |variable: &str, default: &str| {
            let word = env::var(variable).unwrap_or_else(|_| default.to_owned());
            Some(word.trim().to_owned()).filter(|word| !word.is_empty())
        };
        let read = word("JWT_READ_SCOPE", "rappel/read");
        let mut scopes = vec![
            (Scope::Search, read.clone()),
            (Scope::Chat, read),
            (Scope::Write, word("JWT_WRITE_SCOPE", "rappel/write")),
        ];
        // An empty one makes nobody an administrator rather than everybody.
        let admin = word("JWT_ADMIN_SCOPE", "rappel/admin");
        scopes.extend(admin.map(|admin| (Scope::Admin, Some(admin))));
        let claims = settings::optional("JWT_SCOPE_CLAIM");
        let scope_claims = claims.map_or_else(
            || vec!["scope".to_owned(), "scp".to_owned()],
            |claims| claims.split(',').map(|it| it.trim().to_owned()).collect(),
        );
        let filter = settings::optional(FILTER).map(|value| {
            ClaimFilter::parse(&value).map_err(|error| {
                tracing::error!(%error, "{FILTER} is not valid");
                ConfigError::Invalid {
                    variable: FILTER,
                    value,
                    expected: "must be a filter as JSON, in which \"$claims.NAME\" stands for a claim",
                }
            })
        });
        Ok(Self {
            verifier: Verifier::from_env()?,
            scope_claims,
            scopes,
            tenant_claim: settings::optional("JWT_TENANT_CLAIM"),
            filter: filter.transpose()?,
        })
    }

    /// The caller that presents `token`; `verified` if API Gateway has verified it.
    pub(crate) async fn caller(&self, token: &str, verified: bool) -> Result<Caller, Denied> {
        let claims = if verified {
            Claims::verified_by_gateway(token)
        } else {
            self.verifier.verify(token).await
        };
        let claims = claims.map_err(|error| match error {
            TokenError::Invalid(_) => Denied::Invalid(error.to_string()),
            TokenError::Issuer(error) => Denied::Issuer(error),
        })?;
        let scopes = self.scopes(&claims);
        Ok(Caller {
            name: claims.subject().to_owned(),
            operates: self.tenant_claim.is_none()
                && self.filter.is_none()
                && scopes.contains(&Scope::Admin),
            scopes,
            visibility: self.visibility(&claims)?,
            key: None,
        })
    }

    fn scopes(&self, claims: &Claims) -> Scopes {
        let granted = |word: &str| {
            let mut words = self
                .scope_claims
                .iter()
                .flat_map(|claim| claims.words(claim));
            words.any(|granted| granted == word)
        };
        let scopes = self.scopes.iter();
        scopes
            .filter(|(_, word)| word.as_deref().is_none_or(granted))
            .map(|(scope, _)| *scope)
            .collect()
    }

    fn visibility(&self, claims: &Claims) -> Result<Visibility, Denied> {
        let tenant = match &self.tenant_claim {
            None => Tenant::default(),
            Some(claim) => tenant(claims, claim)?,
        };
        let filter = self.filter.as_ref().map(|filter| filter.of(claims));
        let filter = filter.transpose().map_err(|error| {
            Denied::Tenant(format!(
                "the filter of the token's claims is not valid: {error}"
            ))
        })?;
        Ok(Visibility {
            tenant,
            filter,
            max_documents: None,
        })
    }
}

/// The tenant that a claim names. Without one the caller sees nothing, not the documents of the tenant ''.
fn tenant(claims: &Claims, claim: &str) -> Result<Tenant, Denied> {
    let name = claims
        .get(claim)
        .and_then(Value::as_str)
        .unwrap_or_default();
    if name.is_empty() {
        let detail = format!("the token has no text in its claim {claim}, which names the tenant");
        return Err(Denied::Tenant(detail));
    }
    Tenant::parse(name, claim).map_err(|error| Denied::Tenant(error.to_string()))
}
