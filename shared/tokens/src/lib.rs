//! JSON Web Tokens of an `OpenID` issuer: verified as by API Gateway's own JWT authorizers, where there is none.
//!
//! The algorithms are RS256, ES256 and `EdDSA` (Ed25519). The key decides which of them it verifies, never the token: neither
//! `none` nor an HMAC with a public key can pass.

mod claims;
mod error;
mod issuer;
mod key;
mod verifier;

pub use self::{
    claims::Claims,
    error::TokenError,
    issuer::IssuerError,
    verifier::{StartError, Verifier},
};
