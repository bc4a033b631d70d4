//! `GET`, `PATCH` and `DELETE /documents`, `GET` and `DELETE /documents/{id}`, `GET /documents/{id}/similar`, without a
//! model.

mod many;

use document_store::{Deletion, DocumentId, PageQuery, PageRequest, SimilarRequest, Visibility};
use lambda_http::http::Method;
use shared::{
    DatabaseState, Error, State as _,
    http::{self, Parameters, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("documents", handle).await
}

async fn handle(state: DatabaseState, request: Request) -> Result<Response, Error> {
    let caller = http::caller(&request)?;
    let visibility = &caller.visibility;
    let Some(id) = http::optional_path_parameter(&request, "id")? else {
        return match *request.method() {
            Method::DELETE => many::delete(state.database(), caller, &request).await,
            Method::PATCH => many::patch(state.database(), visibility, &request).await,
            _ => http::ok(&page(&request)?.read(state.database(), visibility).await?),
        };
    };
    let id = DocumentId::parse(&id, "id")?;
    let missing = || Error::NoDocument(id.as_str().to_owned());
    if request.method() == Method::DELETE {
        let expected = http::if_match(&request);
        return match document_store::delete(state.database(), visibility, &id, &expected).await? {
            Deletion::Deleted => Ok(http::empty()),
            Deletion::Missing => Err(missing()),
            Deletion::Refused => Err(Error::Unexpected(id.as_str().to_owned())),
        };
    }
    let document = document_store::get(state.database(), visibility, &id).await?;
    // An id may contain slashes, so API Gateway has one route for both; what is stored under the whole id comes first.
    if document.is_none()
        && let Some(other) = id.as_str().strip_suffix("/similar")
    {
        return similar(&state, visibility, &request, other).await;
    }
    let document = document.ok_or_else(missing)?;
    if !document.is_expected(&http::if_none_match(&request)) {
        return Ok(http::not_modified(&document.etag()));
    }
    Ok(http::tagged(http::ok(&document)?, &document.etag()))
}

async fn similar(
    state: &DatabaseState,
    visibility: &Visibility,
    request: &Request,
    id: &str,
) -> Result<Response, Error> {
    let id = DocumentId::parse(id, "id")?;
    let mut parameters = Parameters::of(request);
    let similar = SimilarRequest {
        limit: parameters.whole("limit"),
        filter: parameters.json("filter", "a JSON object"),
        max_distance: parameters.parsed("max_distance", "a number"),
        metadata_fields: parameters.list("metadata_fields"),
    };
    parameters.finish()?;
    let query = similar.parse().map_err(Error::Invalid)?;
    let found = query.run(state.database(), visibility, &id).await?;
    http::ok(&found.ok_or_else(|| Error::NoDocument(id.as_str().to_owned()))?)
}

fn page(request: &Request) -> Result<PageQuery, Error> {
    let mut parameters = Parameters::of(request);
    let page = PageRequest {
        cursor: parameters.text("cursor"),
        limit: parameters.whole("limit"),
        filter: parameters.json("filter", "a JSON object"),
        sort: parameters.text("sort"),
        count: parameters.text("count"),
        metadata_fields: parameters.list("metadata_fields"),
    };
    parameters.finish()?;
    Ok(page.parse()?)
}
