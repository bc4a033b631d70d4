//! Operations on all documents that match a filter.

use access::Caller;
use database::Database;
use document_store::{Deleted, MetadataPatch, PatchMatchingRequest, Visibility};
use filter::Filter;
use json::FieldError;
use serde_json::value::RawValue;
use shared::{
    Error,
    http::{self, Parameters, Request, Response},
};

/// Deletes the matching documents if confirmed; otherwise only counts them.
pub(crate) async fn delete(
    database: &Database,
    caller: &Caller,
    request: &Request,
) -> Result<Response, Error> {
    let visibility = &caller.visibility;
    let mut parameters = Parameters::of(request);
    let filter: Option<Box<RawValue>> = parameters.json("filter", "a JSON object");
    let confirm = parameters.parsed("confirm", "true or false");
    parameters.finish()?;
    let filter = some_of_all(filter.as_deref())?;
    let deleted = if confirm.unwrap_or_default() {
        let deleted =
            document_store::delete_matching(database, visibility, &filter, &caller.name).await?;
        Deleted {
            matching: deleted,
            deleted,
        }
    } else {
        Deleted {
            matching: document_store::count(database, visibility, &filter).await?,
            deleted: 0,
        }
    };
    http::ok(&deleted)
}

/// Changes the metadata of the matching documents.
pub(crate) async fn patch(
    database: &Database,
    visibility: &Visibility,
    request: &Request,
) -> Result<Response, Error> {
    let PatchMatchingRequest { filter, metadata } = http::json(request)?;
    let filter = some_of_all(filter.as_deref())?;
    let patch = MetadataPatch::parse(&metadata)?;
    let changed = document_store::patch_matching(database, visibility, &filter, &patch).await?;
    let updated = u64::try_from(changed.updated).unwrap_or_default();
    telemetry::used(|usage| usage.documents += updated);
    http::ok(&changed)
}

/// A non-empty filter, so that a mistake cannot affect every document.
fn some_of_all(filter: Option<&RawValue>) -> Result<Filter, FieldError> {
    let filter = filter.ok_or_else(|| FieldError::new("filter", "is missing"))?;
    let filter = Filter::parse(filter.get())?;
    if filter.matches_everything() {
        let detail = "matches every document; add a condition that excludes some of them";
        return Err(FieldError::new("filter", detail));
    }
    Ok(filter)
}
