//! The documents that a caller may see and change.

use std::fmt;

use filter::Filter;
use json::FieldError;

/// The tenant of a document: an opaque name. Documents of different tenants do not know of each other.
/// The default is the one tenant of a deployment that has no others, ''.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tenant(String);

impl Tenant {
    /// Bytes of the longest name.
    pub const MAX_BYTES: usize = 128;

    /// Reads a name of letters, digits and `._-:@` in ASCII, which may be empty.
    ///
    /// # Errors
    /// Names `field`, the limit and the characters allowed.
    pub fn parse(name: &str, field: &str) -> Result<Self, FieldError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-:@".contains(c);
        if name.len() > Self::MAX_BYTES || !name.chars().all(allowed) {
            let detail = format!(
                "must be at most {} ASCII letters, digits and any of ._-:@",
                Self::MAX_BYTES
            );
            return Err(FieldError::new(field, detail));
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The documents that a caller may see and change: those of a tenant that match a filter.
#[derive(Clone, Debug, Default)]
pub struct Visibility {
    /// The tenant.
    pub tenant: Tenant,
    /// A condition on the documents, besides the request's own; `None` for all documents of the tenant.
    pub filter: Option<Filter>,
}
