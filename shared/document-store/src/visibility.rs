//! The documents that a caller may see and change.

use std::fmt;

use filter::Filter;
use json::FieldError;

/// Server settings of processes that work for all tenants. Row-level security shows them the rows of every tenant, except
/// within functions that were called for one.
pub const ALL_TENANTS: &[(&str, &str)] = &[("rappel.tenant", "*")];

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
    /// How many documents the tenant may have when the caller stores one; `None` for its own limit alone.
    pub max_documents: Option<i64>,
}

/// A visibility as the parameters of statements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisibilityParameters {
    /// The name of the tenant.
    pub tenant: String,
    /// The filter, [compiled](filter::Compiled) and as JSON.
    pub filter: Option<String>,
    /// How many documents the tenant may have.
    pub max_documents: Option<i64>,
}

impl Visibility {
    /// All documents of a tenant.
    #[must_use]
    pub fn of(tenant: Tenant) -> Self {
        Self {
            tenant,
            ..Self::default()
        }
    }

    /// The name of the tenant, as a parameter of statements.
    #[must_use]
    pub fn tenant(&self) -> String {
        self.tenant.as_str().to_owned()
    }

    /// The filter as a parameter of statements; `None` for all documents of the tenant.
    #[must_use]
    pub fn filter(&self) -> Option<String> {
        let filter = self.filter.as_ref();
        filter.map(|filter| filter.compile().to_json())
    }

    /// Tenant and filter as parameters of statements.
    #[must_use]
    pub fn parameters(&self) -> VisibilityParameters {
        VisibilityParameters {
            tenant: self.tenant(),
            filter: self.filter(),
            max_documents: self.max_documents,
        }
    }

    /// The filter of the visible documents that match `wanted`, as a parameter of statements.
    #[must_use]
    pub fn within(&self, wanted: Option<&Filter>) -> Option<String> {
        match (&self.filter, wanted) {
            (Some(forced), Some(wanted)) => Some(forced.and(wanted).compile().to_json()),
            (None, Some(wanted)) => Some(wanted.compile().to_json()),
            (_, None) => self.filter(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_tenant_is_refused() {
        for name in [
            "",
            "acme",
            "org:7/x".trim_end_matches("/x"),
            "a.b@c-d_e",
            &"t".repeat(128),
        ] {
            assert_eq!(Tenant::parse(name, "tenant").expect(name).as_str(), name);
        }
        // `*` stands for all tenants in the database.
        for name in ["*", "a b", "é", "a'", "a\0", "a/b", &"t".repeat(129)] {
            let error = Tenant::parse(name, "tenant").expect_err(name);
            assert_eq!(error.field, "tenant");
        }
    }

    #[test]
    fn a_request_narrows_what_its_caller_may_see_and_never_widens_it() {
        let filter = |json: &str| Filter::parse(json).expect(json);
        let mut visibility = Visibility::default();
        assert_eq!(visibility.within(None), None);
        visibility.filter = Some(filter(r#"{"$id": {"$in": ["a", "b"]}}"#));
        assert_eq!(visibility.within(None), visibility.filter());
        let all = filter("{}");
        assert_eq!(visibility.within(Some(&all)), visibility.filter());
        let both = visibility.within(Some(&filter(r#"{"$id": "c"}"#)));
        let both = both.expect("a filter");
        assert!(
            both.contains("\"ids\"") && both.contains("\"document\""),
            "{both}"
        );
    }
}
