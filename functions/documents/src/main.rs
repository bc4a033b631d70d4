//! `GET /documents`, `GET /documents/{id}` and `DELETE /documents/{id}`: no model inside.

use document_store::{DocumentId, PageQuery, PageRequest};
use lambda_http::{RequestExt as _, http::Method};
use shared::{
    DatabaseState, Error, State as _,
    http::{self, Parameters, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("documents", handle).await
}

async fn handle(state: DatabaseState, request: Request) -> Result<Response, Error> {
    // Of `/documents/` an HTTP API makes an empty id.
    let id = request
        .path_parameters_ref()
        .and_then(|all| all.first("id"));
    if id.is_none_or(str::is_empty) {
        return http::ok(&page(&request)?.read(state.database()).await?);
    }
    let id = DocumentId::parse(&http::path_parameter(&request, "id")?, "id")?;
    if request.method() == Method::DELETE {
        return if document_store::delete(state.database(), &id).await? {
            Ok(http::empty())
        } else {
            Err(Error::NoDocument(id.as_str().to_owned()))
        };
    }
    match document_store::get(state.database(), &id).await? {
        Some(document) => http::ok(&document),
        None => Err(Error::NoDocument(id.as_str().to_owned())),
    }
}

fn page(request: &Request) -> Result<PageQuery, Error> {
    let mut parameters = Parameters::of(request);
    let page = PageRequest {
        cursor: parameters.text("cursor"),
        limit: parameters.whole("limit"),
        filter: parameters.json("filter", "a JSON object"),
    };
    parameters.finish()?;
    Ok(page.parse()?)
}
