//! Pages of sources.

use database::{Database, DatabaseError};
use document_store::{Limit, Tenant};
use json::FieldError;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    definition::name_error,
    state::{self, Source},
};

/// A page of sources.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Sources {
    /// In the order of their names.
    pub sources: Vec<Source>,
    /// The `cursor` of the next request; `null` on the last page.
    pub next_cursor: Option<String>,
}

/// The parameters of `GET /sources`.
#[derive(Clone, Debug, Default, JsonSchema)]
#[schemars(inline)]
pub struct SourcesRequest {
    /// The previous page's `next_cursor`; absent for the first page.
    pub cursor: Option<String>,
    /// The most sources, 1 to 100; 20 if absent.
    #[schemars(range(min = 1, max = Limit::MAX))]
    pub limit: Option<i64>,
}

/// A valid request of a page of sources.
#[derive(Clone, Debug)]
pub struct SourcesQuery {
    after: Option<String>,
    limit: Limit,
}

impl SourcesRequest {
    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first invalid parameter.
    pub fn parse(self) -> Result<SourcesQuery, FieldError> {
        if self.cursor.as_deref().and_then(name_error).is_some() {
            return Err(FieldError::new(
                "cursor",
                "is not a next_cursor of this list",
            ));
        }
        Ok(SourcesQuery {
            after: self.cursor,
            limit: Limit::parse(self.limit, Limit::PAGE_DEFAULT)?,
        })
    }
}

/// The state of a page of the sources of a tenant: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn sources(
    database: &Database,
    tenant: &Tenant,
    page: SourcesQuery,
) -> Result<Sources, DatabaseError> {
    // One extra row shows whether another page follows.
    let most = page.limit.get() + 1;
    let mut sources = state::after(database, tenant, page.after, most).await?;
    let more = page.limit.cut(&mut sources);
    let last = sources.last().filter(|_| more);
    Ok(Sources {
        next_cursor: last.map(|source| source.name.clone()),
        sources,
    })
}
