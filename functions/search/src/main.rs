//! `POST /search` and `GET /search`: embeds the question, one round trip to the database.

use lambda_http::http::Method;
use retrieval::{SearchRequest, SearchState};
use shared::{
    Error,
    http::{self, Parameters, Request, Response},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    http::serve("search", handle).await
}

async fn handle(state: SearchState, request: Request) -> Result<Response, Error> {
    let search = if request.method() == Method::GET {
        let search = parameters(&request)?.parse();
        search.map_err(|error| error.blaming("query", "q"))?
    } else {
        http::json::<SearchRequest>(&request)?.parse()?
    };
    let visibility = &http::caller(&request)?.visibility;
    http::ok(&state.run(search, visibility).await?)
}

/// The request as query parameters; `filter` is JSON.
fn parameters(request: &Request) -> Result<SearchRequest, Error> {
    let mut parameters = Parameters::of(request);
    let search = SearchRequest {
        query: parameters.text("q").unwrap_or_default(),
        limit: parameters.whole("limit"),
        max_distance: parameters.parsed("max_distance", "a number"),
        min_relevance: parameters.parsed("min_relevance", "a number"),
        filter: parameters.json("filter", "a JSON object"),
        mode: parameters.text("mode"),
        semantic_weight: parameters.parsed("semantic_weight", "a number"),
        passages: parameters.whole("passages"),
        expand: parameters.whole("expand"),
        explain: parameters.parsed("explain", "true or false"),
        rerank: parameters.parsed("rerank", "true or false"),
        offset: parameters.whole("offset"),
        count: parameters.text("count"),
        facets: parameters.list("facets"),
        fields: parameters.list("fields"),
        metadata_fields: parameters.list("metadata_fields"),
        highlight: parameters.parsed("highlight", "true or false"),
        prefix: parameters.parsed("prefix", "true or false"),
        literal: false,
    };
    parameters.finish()?;
    Ok(search)
}
