//! Lists that are read page by page.

use json::FieldError;
use schemars::JsonSchema;

use super::fields::Limit;

/// A place in a list, after which a page begins.
pub trait Cursor: Sized {
    /// Reads a `next_cursor`; `None` if the text is none of this list.
    fn read(text: &str) -> Option<Self>;
}

/// The parameters of a page of a list.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct ListRequest {
    /// The previous page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most entries, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
}

/// A valid request of a page of a list.
#[derive(Clone, Debug)]
pub struct ListQuery<C> {
    /// The last place of the page before; `None` for the first page.
    pub after: Option<C>,
    /// The most entries.
    pub limit: Limit,
}

impl ListRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first invalid parameter.
    pub fn parse<C: Cursor>(self) -> Result<ListQuery<C>, FieldError> {
        let refused = || FieldError::new("cursor", "is not a next_cursor of this list");
        let after = self.cursor.map(|text| C::read(&text).ok_or_else(refused));
        Ok(ListQuery {
            after: after.transpose()?,
            limit: Limit::parse(self.limit, Limit::PAGE_DEFAULT)?,
        })
    }
}
