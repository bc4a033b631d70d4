//! Pages of sources.

use database::{Database, DatabaseError};
use document_store::{Cursor, ListQuery, Tenant};
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

/// The name of a source in the list.
#[derive(Clone, Debug)]
pub struct SourceCursor(String);

impl Cursor for SourceCursor {
    fn read(text: &str) -> Option<Self> {
        name_error(text).is_none().then(|| Self(text.to_owned()))
    }
}

/// The state of a page of the sources of a tenant: one round trip.
///
/// # Errors
/// When the database fails.
pub async fn sources(
    database: &Database,
    tenant: &Tenant,
    page: ListQuery<SourceCursor>,
) -> Result<Sources, DatabaseError> {
    let after = page.after.map(|SourceCursor(name)| name);
    let mut sources = state::after(database, tenant, after, page.limit.rows()).await?;
    let next_cursor = page
        .limit
        .next_cursor(&mut sources, |source| source.name.clone());
    Ok(Sources {
        sources,
        next_cursor,
    })
}
