//! Facets: metadata keys whose values a search counts.

use json::FieldError;

/// Keys as in the request, and as jsonpaths for Postgres.
#[derive(Clone, Debug, Default)]
pub(super) struct Facets {
    pub(super) keys: Vec<String>,
    paths: Vec<String>,
}

impl Facets {
    /// The most keys of one request.
    pub(super) const MAX: usize = 10;

    /// Checks the keys.
    ///
    /// # Errors
    /// Names `facets`.
    pub(super) fn parse(keys: Vec<String>) -> Result<Self, FieldError> {
        if keys.len() > Self::MAX {
            let detail = format!("has {} keys; at most {} are allowed", keys.len(), Self::MAX);
            return Err(FieldError::new("facets", detail));
        }
        let paths = keys.iter().enumerate();
        let paths = paths.map(|(index, key)| filter::values_path(key, &format!("facets[{index}]")));
        let paths = paths.collect::<Result<_, _>>()?;
        Ok(Self { keys, paths })
    }

    /// The jsonpaths, if there are any.
    pub(super) fn paths(&self) -> Option<Vec<String>> {
        (!self.paths.is_empty()).then(|| self.paths.clone())
    }
}
