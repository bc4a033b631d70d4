//! A key of the issuer: <https://www.rfc-editor.org/rfc/rfc7518#section-6>. The token itself names its algorithm, so a
//! key only verifies algorithms of its own type.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// A key; its numbers are base64.
#[derive(Clone, Deserialize)]
pub(crate) struct Key {
    #[serde(default)]
    pub(crate) kid: String,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Clone, Deserialize)]
#[serde(tag = "kty")]
enum Kind {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Elliptic { crv: String, x: String, y: String },
    #[serde(other)]
    Unknown,
}

impl Key {
    /// Whether this key made the signature.
    pub(crate) fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Rsa { n, e } => rsa(algorithm, n, e, message, signature),
            Kind::Elliptic { crv, x, y } => elliptic(algorithm, crv, [x, y], message, signature),
            Kind::Unknown => None,
        }
        .is_some()
    }
}

fn rsa(algorithm: &str, n: &str, e: &str, message: &[u8], signature: &[u8]) -> Option<()> {
    let parameters = match algorithm {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        _ => return None,
    };
    let key = RsaPublicKeyComponents {
        n: number(n)?,
        e: number(e)?,
    };
    key.verify(parameters, message, signature).ok()
}

fn elliptic(
    algorithm: &str,
    curve: &str,
    point: [&String; 2],
    message: &[u8],
    signature: &[u8],
) -> Option<()> {
    let parameters: &dyn VerificationAlgorithm = match (algorithm, curve) {
        ("ES256", "P-256") => &ECDSA_P256_SHA256_FIXED,
        ("ES384", "P-384") => &ECDSA_P384_SHA384_FIXED,
        _ => return None,
    };
    // 4 marks an uncompressed point.
    let mut key = vec![4];
    for coordinate in point {
        key.extend(number(coordinate)?);
    }
    UnparsedPublicKey::new(parameters, key)
        .verify(message, signature)
        .ok()
}

fn number(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
