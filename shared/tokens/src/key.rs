//! A key of the issuer: <https://www.rfc-editor.org/rfc/rfc7518#section-6>, <https://www.rfc-editor.org/rfc/rfc8037>.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;

/// A public key; its numbers are base64.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Key {
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    #[serde(flatten)]
    kind: Kind,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kty")]
enum Kind {
    #[serde(rename = "RSA")]
    Rsa { n: String, e: String },
    #[serde(rename = "EC")]
    Elliptic { crv: String, x: String, y: String },
    #[serde(rename = "OKP")]
    Edwards { crv: String, x: String },
}

impl Key {
    /// Whether a token that names `kid` may be signed with this key.
    pub(crate) fn is_named(&self, kid: Option<&str>) -> bool {
        kid.is_none_or(|kid| self.kid.as_deref() == Some(kid))
    }

    /// Whether this key made the signature with the token's algorithm, which has to be the key's own.
    pub(crate) fn has_signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let signs = self.usage.as_deref().is_none_or(|usage| usage == "sig");
        let agreed = self.alg.as_deref().is_none_or(|own| own == algorithm);
        signs && agreed && self.verify(algorithm, message, signature).is_some()
    }

    fn verify(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<()> {
        let (verification, key): (&dyn VerificationAlgorithm, _) = match (algorithm, &self.kind) {
            ("RS256", Kind::Rsa { n, e }) => {
                let key = RsaPublicKeyComponents {
                    n: number(n)?,
                    e: number(e)?,
                };
                let parameters = &RSA_PKCS1_2048_8192_SHA256;
                return key.verify(parameters, message, signature).ok();
            }
            ("ES256", Kind::Elliptic { crv, x, y }) if crv == "P-256" => {
                // 4 marks an uncompressed point.
                let point = [vec![4], number(x)?, number(y)?].concat();
                (&ECDSA_P256_SHA256_FIXED, point)
            }
            ("EdDSA", Kind::Edwards { crv, x }) if crv == "Ed25519" => (&ED25519, number(x)?),
            _ => return None,
        };
        let key = UnparsedPublicKey::new(verification, key);
        key.verify(message, signature).ok()
    }
}

fn number(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}
