//! `GET /documents`, `GET /documents/{id}` and `DELETE /documents/{id}`: no model inside.

use lambda_http::{RequestExt as _, http::Method};
use shared::{
    Error, State,
    config::Needs,
    documents::{self, DocumentId, PageRequest},
    http::{self, Parameters, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("documents", Needs::DatabaseOnly, handle).await
}

async fn handle(state: State, request: Request) -> Result<Response, Error> {
    // Of `/documents/` an HTTP API makes an empty id.
    let id = request
        .path_parameters_ref()
        .and_then(|all| all.first("id"));
    if id.is_none_or(str::is_empty) {
        return http::ok(&page(&request)?.read(state.database()).await?);
    }
    let id = DocumentId::parse(&http::path_parameter(&request, "id")?, "id")?;
    if request.method() == Method::DELETE {
        return if documents::delete(state.database(), &id).await? {
            Ok(http::empty())
        } else {
            Err(Error::NoDocument(id.as_str().to_owned()))
        };
    }
    http::ok(&documents::get(state.database(), &id).await?)
}

fn page(request: &Request) -> Result<PageRequest, Error> {
    let mut parameters = Parameters::of(request);
    let page = PageRequest {
        cursor: parameters.text("cursor"),
        limit: parameters.whole("limit"),
        filter: parameters.json("filter", "a JSON object"),
    };
    parameters.finish()?;
    Ok(page)
}
