//! Entity tags of documents, and the conditions of `If-Match` and `If-None-Match` (RFC 9110).

use std::fmt;

use super::hash::hex;

/// Identifies a document's state: it changes with its title, its content and its metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Etag(String);

/// The states in which a document may be changed or is sent, from `If-Match` and `If-None-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any state, stored or not.
    #[default]
    Anything,
    /// Any stored state.
    Stored,
    /// None: it is not stored.
    Absent,
    /// One of these, by their hashes.
    OneOf(Vec<Vec<u8>>),
    /// Any but these, stored or not.
    NoneOf(Vec<Vec<u8>>),
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
    pub fn matching(header: Option<&str>) -> Self {
        let Some(header) = header else {
            return Self::Anything;
        };
        if header.trim() == "*" {
            return Self::Stored;
        }
        Self::OneOf(tags(header).filter_map(hash_of).collect())
    }

    /// Reads the header `If-None-Match`, in which a weak tag is as good as a strong one.
    #[must_use]
    pub fn not_matching(header: Option<&str>) -> Self {
        let Some(header) = header else {
            return Self::Anything;
        };
        if header.trim() == "*" {
            return Self::Absent;
        }
        let hashes = tags(header).filter_map(|tag| hash_of(tag.strip_prefix("W/").unwrap_or(tag)));
        Self::NoneOf(hashes.collect())
    }

    /// Whether a document with this hash, or a missing one, may be changed.
    pub(super) fn allows(&self, stored: Option<&[u8]>) -> bool {
        match self {
            Self::Anything => true,
            Self::Stored => stored.is_some(),
            Self::Absent => stored.is_none(),
            Self::OneOf(hashes) => {
                stored.is_some_and(|stored| hashes.iter().any(|hash| hash == stored))
            }
            Self::NoneOf(hashes) => {
                stored.is_none_or(|stored| hashes.iter().all(|hash| hash != stored))
            }
        }
    }

    /// The hashes of which a document to delete has one; `None` for any.
    pub(super) fn hashes(&self) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Anything | Self::Stored => None,
            Self::OneOf(hashes) => Some(hashes.clone()),
            // Not from the header of a deletion.
            Self::Absent | Self::NoneOf(_) => Some(Vec::new()),
        }
    }
}

/// The tags of a header.
fn tags(header: &str) -> impl Iterator<Item = &str> {
    header.split(',').map(str::trim)
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
            let expected = Expected::matching(header);
            assert_eq!(expected.allows(Some(&hash)), allows, "{header:?}");
            assert_eq!(expected.allows(Some(&other)), allows_other, "{header:?}");
            assert_eq!(expected.allows(None), allows_none, "{header:?}");
        }
    }

    #[test]
    fn a_tag_is_of_a_state_that_is_known_already() {
        for (header, is_news) in [
            (None, true),
            (Some("*"), false),
            (Some("\"01\", \"00a7ff\""), false),
            (Some("W/\"00a7ff\""), false),
            (Some("\"01\""), true),
            (Some("00a7ff"), true),
        ] {
            let expected = Expected::not_matching(header);
            assert_eq!(
                expected.allows(Some(&[0, 0xa7, 0xff])),
                is_news,
                "{header:?}"
            );
            assert!(expected.allows(None), "{header:?}");
        }
    }
}
