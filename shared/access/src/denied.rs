//! Why a request is denied.

use database::DatabaseError;
use tokens::IssuerError;

use crate::{Quota, Scope};

/// Why a request is denied before its function sees it.
#[derive(Debug, thiserror::Error)]
pub enum Denied {
    /// It presents nothing.
    #[error("the request has no credentials; send Authorization: Bearer and a key or a token")]
    Missing,
    /// What it presents is not valid.
    #[error("{0}")]
    Invalid(String),
    /// Its caller lacks a scope.
    #[error("the scope {0} is required, which the caller does not have")]
    Scope(Scope),
    /// Its caller may not act for the tenant, or for none.
    #[error("{0}")]
    Tenant(String),
    /// Unknown keys arrive faster than they are looked up.
    #[error("too many unknown keys have been presented; try again in a second")]
    Busy,
    /// Its caller, or the tenant, has sent as many requests as it may in this minute.
    #[error("the {} has sent the {} requests that it may in a minute", .0.name, .0.limit)]
    TooMany(Quota),
    /// The issuer's keys cannot be fetched.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The keys cannot be read.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Denied {
    pub(crate) fn invalid(reason: &str) -> Self {
        Self::Invalid(reason.to_owned())
    }
}
