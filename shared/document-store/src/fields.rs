//! Fields that several requests share, parsed once.

use json::FieldError;

/// How many hits or documents are wanted, 1 to [`Limit::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(i32);

impl Limit {
    /// The most that one response holds.
    pub const MAX: i32 = 100;
    /// Hits of a search that names no limit.
    pub const SEARCH_DEFAULT: Self = Self(10);
    /// Documents of a page that names no limit.
    pub const PAGE_DEFAULT: Self = Self(20);

    /// Refuses a limit that is out of range; `None` is `default`.
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

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

pub(super) const NUL_REFUSED: &str = "holds a NUL character (U+0000), which Postgres cannot store";

/// Says of a text with a NUL that it cannot be stored.
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
