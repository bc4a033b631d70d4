//! `GET /documents`, `GET /documents/{id}` and `DELETE /documents/{id}`: no model inside.

use lambda_http::{RequestExt as _, aws_lambda_events::query_map::QueryMap, http::Method};
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
    if request.path_parameters_ref().is_none_or(QueryMap::is_empty) {
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
        limit: parameters.parsed("limit", "a whole number"),
        filter: parameters.json("filter", "a JSON object"),
    };
    parameters.finish()?;
    Ok(page)
}
