//! Why a token is rejected.

use crate::issuer::IssuerError;

/// Bytes of the longest token: API Gateway's limit of all headers together is 10,240.
pub(crate) const MAX_BYTES: usize = 8 * 1024;

/// Why a token was rejected.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Another issuer or audience, or expired, or malformed.
    #[error("the token is not valid: {0}")]
    Invalid(&'static str),
    /// The issuer's keys cannot be fetched.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
}

impl TokenError {
    pub(crate) const MALFORMED: Self = Self::Invalid("it is malformed");
    pub(crate) const TOO_LONG: Self = Self::Invalid("it has more than 8 KB");
}
