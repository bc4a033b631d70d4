//! Parsing of fields that several requests share.

use json::FieldError;
use schemars::JsonSchema;

use super::text::normalised;

/// The most hits or documents of a response, 1 to [`Limit::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(i32);

impl Limit {
    /// The largest limit.
    pub const MAX: i32 = 100;
    /// The default of a search.
    pub const SEARCH_DEFAULT: Self = Self(10);
    /// The default of a page.
    pub const PAGE_DEFAULT: Self = Self(20);

    /// Refuses a limit out of range; `None` is `default`.
    ///
    /// # Errors
    /// Names the field `limit` and its range.
    pub fn parse(limit: Option<i64>, default: Self) -> Result<Self, FieldError> {
        let Some(limit) = limit else {
            return Ok(default);
        };
        i32::try_from(limit)
            .ok()
            .filter(|limit| (1..=Self::MAX).contains(limit))
            .map(Self)
            .ok_or_else(|| {
                FieldError::new(
                    "limit",
                    format!("is {limit}; 1 to {} are allowed", Self::MAX),
                )
            })
    }

    /// The rows to read of a page: an extra one shows whether another page follows.
    #[must_use]
    pub fn rows(self) -> i32 {
        self.0 + 1
    }

    /// Drops the extra row; the `next_cursor`, which `cursor` makes of the last row that is left, if there was one.
    pub fn next_cursor<T>(
        self,
        rows: &mut Vec<T>,
        cursor: impl FnOnce(&T) -> String,
    ) -> Option<String> {
        let limit = usize::try_from(self.0).unwrap_or_default();
        let more = rows.len() > limit;
        rows.truncate(limit);
        rows.last().filter(|_| more).map(cursor)
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

/// The most members of the metadata that a request may name.
pub const MAX_METADATA_FIELDS: usize = 50;

/// Checks the members of the metadata of responses; `None` for all.
///
/// # Errors
/// Names the field `metadata_fields` and its limit.
pub fn metadata_fields(keys: Option<Vec<String>>) -> Result<Option<Vec<String>>, FieldError> {
    let Some(keys) = keys else { return Ok(None) };
    if keys.len() > MAX_METADATA_FIELDS {
        let detail = format!(
            "has {} keys; at most {MAX_METADATA_FIELDS} are allowed",
            keys.len()
        );
        return Err(FieldError::new("metadata_fields", detail));
    }
    if let Some(error) = keys.iter().find_map(|key| nul(key, "metadata_fields")) {
        return Err(error);
    }
    Ok(Some(
        keys.iter()
            .map(|key| normalised(key).into_owned())
            .collect(),
    ))
}

/// How to count the documents that match a filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub enum Count {
    /// By the planner's statistics, if counting would take too long.
    #[default]
    Estimate,
    /// One by one.
    Exact,
    /// Not at all.
    None,
}

impl Count {
    /// The word in requests and SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Estimate => "estimate",
            Self::Exact => "exact",
            Self::None => "none",
        }
    }

    /// Reads the word of a request.
    ///
    /// # Errors
    /// Names the field `count` and the words.
    pub fn parse(name: Option<&str>) -> Result<Self, FieldError> {
        let Some(name) = name else {
            return Ok(Self::default());
        };
        [Self::Estimate, Self::Exact, Self::None]
            .into_iter()
            .find(|count| count.name() == name)
            .ok_or_else(|| {
                let detail = format!("is {name:?}; use \"estimate\", \"exact\" or \"none\"");
                FieldError::new("count", detail)
            })
    }
}

pub(super) const NUL_REFUSED: &str =
    "contains a NUL character (U+0000), which Postgres cannot store";

/// Refuses a text with a NUL, which cannot be stored.
#[must_use]
pub fn nul(text: &str, field: &str) -> Option<FieldError> {
    text.contains('\0')
        .then(|| FieldError::new(field, NUL_REFUSED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_1_to_100() {
        for (limit, fits) in [
            (0, false),
            (1, true),
            (100, true),
            (101, false),
            (-1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(
                Limit::parse(Some(limit), Limit::SEARCH_DEFAULT).is_ok(),
                fits,
                "{limit}"
            );
        }
    }
}
