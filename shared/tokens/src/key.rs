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
    pub(crate) fn may_be(&self, kid: Option<&str>) -> bool {
        kid.is_none() || self.kid.is_none() || self.is_named(kid)
    }

    /// Whether this is the one key that a token names.
    pub(crate) fn is_named(&self, kid: Option<&str>) -> bool {
        kid.is_some() && self.kid.as_deref() == kid
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

#[cfg(test)]
mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};
    use serde_json::{Value, json};

    use super::*;

    fn key(json: Value) -> Key {
        serde_json::from_value(json).expect("a key")
    }

    #[test]
    fn among_keys_without_ids_the_one_that_signed_is_found_by_its_algorithm() {
        let pair = |seed: u8| Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a key");
        let edwards = |seed: u8| {
            let x = BASE64_URL_SAFE_NO_PAD.encode(pair(seed).public_key());
            json!({ "kty": "OKP", "crv": "Ed25519", "x": x })
        };
        let set = [
            json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
            json!({ "kty": "EC", "crv": "P-384", "x": "AQAB", "y": "AQAB" }),
            edwards(1),
            edwards(2),
        ];
        let set = set.map(key);
        let signature = pair(2).sign(b"message");
        for (algorithm, signers) in [("EdDSA", 1), ("ES256", 0), ("RS256", 0), ("none", 0)] {
            let signed = set
                .iter()
                .filter(|key| key.has_signed(algorithm, b"message", signature.as_ref()));
            assert_eq!(signed.count(), signers, "{algorithm}");
        }
    }

    #[test]
    fn a_token_or_a_key_without_an_id_may_be_of_any() {
        let key = |kid: Value| key(json!({ "kty": "OKP", "crv": "Ed25519", "x": "", "kid": kid }));
        let (one, nameless) = (key(json!("one")), key(Value::Null));
        for (kid, may_be, is_named) in [
            (Some("one"), true, true),
            (Some("two"), false, false),
            (None, true, false),
        ] {
            let found = (one.may_be(kid), one.is_named(kid));
            assert_eq!(found, (may_be, is_named), "{kid:?}");
            assert!(nameless.may_be(kid) && !nameless.is_named(kid), "{kid:?}");
        }
    }
}
