//! `POST /chat`: finds passages like a search, and streams an answer that cites them. Below `/v1`, the same in
//! `OpenAI`'s protocol.

mod answer;
mod budget;
mod citations;
mod condense;
mod config;
mod conversation;
mod cut;
mod description;
mod done;
mod event;
mod fence;
mod fields;
mod fixed;
mod openai;
mod prompt;
mod request;
mod retrieved;
mod small_talk;
mod sources;
mod state;
mod stops;

pub use self::description::Body;

use lambda_http::{RequestExt as _, http::Method};
use shared::{
    Error,
    http::{self, Request, Response, StreamedResponse},
};

use crate::{answer::Answer, request::ChatRequest, state::ChatState};

/// Serves the routes until the sandbox ends.
///
/// # Errors
/// When a setting is invalid, or the runtime's interface fails.
pub async fn serve() -> Result<(), lambda_http::Error> {
    http::serve_streams("chat", handle, refuse).await
}

/// Below `/v1`, requests are refused in `OpenAI`'s shape, whoever refuses them.
fn refuse(path: &str, error: Error) -> Result<Response, Error> {
    match openai::resource(path) {
        Some(_) => Ok(openai::refused(error)),
        None => Err(error),
    }
}

/// Refuses invalid requests before the first byte; later errors are events. Rewrites a question and finds its sources
/// after the first byte.
async fn handle(state: ChatState, request: Request) -> Result<StreamedResponse, Error> {
    // A REST API passes on a browser's preflight request; `shared::http` adds the CORS headers.
    if request.method() == Method::OPTIONS {
        return Ok(http::whole(http::empty()));
    }
    if let Some(resource) = openai::resource(request.raw_http_path()) {
        return Ok(openai::answer(state, &request, &resource).await);
    }
    // A function URL passes on every method.
    if request.method() != Method::POST {
        let method = request.method().to_string();
        return Err(Error::Method {
            method,
            allowed: "POST",
        });
    }
    state.language_model()?;
    let visibility = http::caller(&request)?.visibility.clone();
    let chat = http::json::<ChatRequest>(&request)?.parse(&state.config, visibility)?;
    let streamed = chat.stream;
    // On the heap, as below: the future with searches and models is large.
    let answer = Box::pin(Answer::prepare(state, chat, http::deadline(&request))).await?;
    if streamed {
        Ok(http::events(event::written(answer)))
    } else {
        Ok(http::whole(http::ok(&Box::pin(answer.whole()).await?)?))
    }
}
