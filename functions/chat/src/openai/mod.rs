//! `OpenAI`'s protocol, for existing clients and front ends: <https://platform.openai.com/docs/api-reference>.
//! The base URL `…/v1` has the chat, the embedding model and the list of both.

mod chunk;
mod completion;
mod embeddings;
mod models;
mod refusal;

pub(crate) use self::{
    completion::ChatCompletion,
    embeddings::{Embeddings, EmbeddingsRequest},
    models::{Model, Models},
    refusal::Body as ErrorAnswer,
};

use std::time::SystemTime;

use lambda_http::http::Method;
use percent_encoding::percent_decode_str;
use shared::{
    Error,
    http::{self, Request, Response, StreamedResponse},
};

use self::refusal::Refusal;
use crate::state::ChatState;

/// The name of the chat among the models.
const CHAT: &str = "rappel";

/// The part of a path after `/v1`: `chat/completions` of `/v1/chat/completions`. A custom domain may add a prefix
/// before `/v1`.
pub(crate) fn resource(path: &str) -> Option<String> {
    let (_, resource) = path.split_once("/v1/")?;
    let resource = percent_decode_str(resource).decode_utf8_lossy();
    Some(resource.trim_end_matches('/').to_owned())
}

/// Answers a request. Errors also have `OpenAI`'s shape.
pub(crate) async fn answer(
    state: ChatState,
    request: &Request,
    resource: &str,
) -> StreamedResponse {
    let method = request.method();
    let answered = match (resource, resource.strip_prefix("models/")) {
        ("chat/completions", _) if method == Method::POST => {
            Box::pin(completion::answer(state, request)).await
        }
        ("embeddings", _) if method == Method::POST => {
            embeddings::answer(&state, request).await.map(http::whole)
        }
        ("models", _) if method == Method::GET => models::list(&state).map(http::whole),
        (_, Some(name)) if method == Method::GET => models::one(&state, name).map(http::whole),
        ("chat/completions" | "embeddings", _) => Err(Refusal::method(request, "POST")),
        ("models", _) | (_, Some(_)) => Err(Refusal::method(request, "GET, HEAD")),
        _ => Err(Refusal::resource(resource)),
    };
    answered.unwrap_or_else(|refusal| http::whole(refusal.into_response()))
}

/// The response of an error before [`answer`], such as that of a caller without a key.
pub(crate) fn refused(error: Error) -> Response {
    Refusal::from(error).into_response()
}

/// Seconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resource_follows_the_version() {
        for (path, expected) in [
            ("/v1/chat/completions", Some("chat/completions")),
            ("/v1/models/", Some("models")),
            ("/rappel/v1/models/org%2Fmodel", Some("models/org/model")),
            ("/v1/", Some("")),
            ("/chat", None),
            ("/", None),
            ("/v1", None),
        ] {
            assert_eq!(resource(path).as_deref(), expected, "{path}");
        }
    }
}
