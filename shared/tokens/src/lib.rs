//! JSON Web Tokens of an `OpenID` issuer: verified as by API Gateway's own JWT authorizers, where there is none.
//!
//! The algorithms are RS256, ES256 and `EdDSA` (Ed25519). The key decides which of them it verifies, never the token: neither
//! `none` nor an HMAC with a public key can pass.

mod claims;
mod elapsed;
mod error;
mod issuer;
mod key;
mod verifier;

pub use self::{
    claims::Claims,
    elapsed::is_within,
    error::TokenError,
    issuer::IssuerError,
    verifier::{StartError, Verifier},
};

/// The credentials of a header `Authorization` with the scheme Bearer (RFC 6750); `None` for another scheme.
#[must_use]
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ').unwrap_or((header, ""));
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
