//! Entity tags of documents, and the conditions of `If-Match` (RFC 9110).

use std::fmt;

use super::hash::hex;

/// Identifies a document's state: it changes with its title, its content and its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etag(String);

/// The states in which a document may be changed, from `If-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any state, stored or not.
    #[default]
    Anything,
    /// Any stored state.
    Stored,
    /// One of these, by their hashes.
    OneOf(Vec<Vec<u8>>),
}

impl Etag {
    pub(super) fn of(hash: &[u8]) -> Self {
        Self(hex(hash))
    }
}

/// As in the header, in quotation marks.
impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

impl Expected {
    /// Reads the header `If-Match`. Tags that are not a document's, such as weak ones, match nothing.
    #[must_use]
    pub fn parse(header: Option<&str>) -> Self {
        let Some(header) = header else {
            return Self::Anything;
        };
        if header.trim() == "*" {
            return Self::Stored;
        }
        Self::OneOf(
            header
                .split(',')
                .filter_map(|tag| hash_of(tag.trim()))
                .collect(),
        )
    }

    /// Whether a document with this hash, or a missing one, may be changed.
    pub(super) fn allows(&self, stored: Option<&[u8]>) -> bool {
        match self {
            Self::Anything => true,
            Self::Stored => stored.is_some(),
            Self::OneOf(hashes) => {
                stored.is_some_and(|stored| hashes.iter().any(|hash| hash == stored))
            }
        }
    }

    /// The allowed hashes, unless all are.
    pub(super) fn hashes(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Anything | Self::Stored => None,
            Self::OneOf(hashes) => Some(hashes.clone()),
        }
    }
}

fn hash_of(tag: &str) -> Option<Vec<u8>> {
    let digits = tag.strip_prefix('"')?.strip_suffix('"')?;
    if digits.len() % 2 == 1 || !digits.is_ascii() {
        return None;
    }
    let bytes = (0..digits.len()).step_by(2);
    bytes
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_allows_the_document_that_it_is_of() {
        let (hash, other) = ([0_u8, 0xa7, 0xff], [1_u8]);
        let tag = Etag::of(&hash).to_string();
        assert_eq!(tag, "\"00a7ff\"");
        for (header, allows, allows_other, allows_none) in [
            (None, true, true, true),
            (Some("*"), true, true, false),
            (Some(tag.as_str()), true, false, false),
            (Some("\"01\" , \"00a7ff\""), true, true, false),
            (Some("W/\"00a7ff\""), false, false, false),
            (Some("00a7ff"), false, false, false),
            (Some("\"0\u{e9}\""), false, false, false),
            (Some(""), false, false, false),
        ] {
            let expected = Expected::parse(header);
            assert_eq!(expected.allows(Some(&hash)), allows, "{header:?}");
            assert_eq!(expected.allows(Some(&other)), allows_other, "{header:?}");
            assert_eq!(expected.allows(None), allows_none, "{header:?}");
        }
    }
}
