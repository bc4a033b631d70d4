//! The text of an API key: `rpl_`, 43 random characters of base62 (256 bits), and six of a checksum.
//!
//! The prefix and the checksum let scanners of repositories and logs find keys without asking anybody:
//! `rpl_[0-9A-Za-z]{49}`.

use ring::{
    digest::{SHA256, digest},
    error::Unspecified,
    rand::{SecureRandom as _, SystemRandom},
};

/// What is stored of a key. Not a slow hash: those protect secrets that people choose, which can be guessed; nobody guesses 256
/// random bits, and a slow one would cost each cold request a tenth of a second.
pub(crate) type Hash = [u8; 32];

/// A key that has the form of one.
#[derive(Clone)]
pub(crate) struct Secret(String);

const PREFIX: &str = "rpl_";
const RANDOM: usize = 43;
const CHECKSUM: usize = 6;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Secret {
    /// A new key.
    pub(crate) fn generate() -> Result<Self, Unspecified> {
        let body = format!("{PREFIX}{}", random(RANDOM)?);
        let checksum = checksum(&body);
        Ok(Self(body + &checksum))
    }

    /// Whether a bearer token is meant as a key.
    pub(crate) fn is_meant(text: &str) -> bool {
        text.starts_with(PREFIX)
    }

    /// Reads a key. One with a typing error fails here, before the database is asked.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let body = text.len().checked_sub(CHECKSUM)?;
        let (body, sum) = text.split_at_checked(body)?;
        let random = body.strip_prefix(PREFIX)?;
        let right = random.len() == RANDOM
            && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && checksum(body) == sum;
        right.then(|| Self(text.to_owned()))
    }

    /// The whole key.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The beginning, by which people recognise a key in a list.
    pub(crate) fn shown(&self) -> &str {
        &self.0[..PREFIX.len() + 4]
    }

    pub(crate) fn hash(&self) -> Hash {
        sha256(&self.0)
    }
}

/// Random characters of base62, each as likely as any other.
pub(crate) fn random(length: usize) -> Result<String, Unspecified> {
    let source = SystemRandom::new();
    let mut text = String::with_capacity(length);
    while text.len() < length {
        let mut bytes = [0; 64];
        source.fill(&mut bytes)?;
        // 248 is the largest multiple of 62 in a byte.
        let fair = bytes.iter().filter(|byte| **byte < 248);
        let digits = fair.map(|byte| char::from(BASE62[usize::from(byte % 62)]));
        text.extend(digits.take(length - text.len()));
    }
    Ok(text)
}

fn checksum(body: &str) -> String {
    let hash = sha256(body);
    let mut rest = u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

fn sha256(text: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_a_typing_error_in_it_too() {
        let key = Secret::generate().expect("random bytes");
        let text = key.as_str();
        assert!(text.starts_with("rpl_") && text.len() == 53, "{text}");
        assert_eq!(Secret::parse(text).expect("a key").hash(), key.hash());
        assert_eq!(key.shown(), &text[..8]);
        for place in 0..text.len() {
            let mut wrong = text.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'x' { b'y' } else { b'x' };
            let wrong = String::from_utf8(wrong).expect("ASCII");
            assert!(Secret::parse(&wrong).is_none(), "{place}");
        }
        for other in [
            "",
            "rpl_",
            "rpl_é",
            &text[1..],
            &format!("{text}0"),
            &text[..52],
        ] {
            assert!(Secret::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn keys_differ_and_use_every_character() {
        let keys: String = (0..100)
            .map(|_| random(RANDOM).expect("random bytes"))
            .collect();
        let used: std::collections::BTreeSet<char> = keys.chars().collect();
        assert_eq!(used.len(), 62);
    }
}
