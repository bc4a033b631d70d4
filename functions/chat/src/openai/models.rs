//! The models: the chat, and the embedding model.

use schemars::JsonSchema;
use serde::Serialize;
use shared::http::{self, Response};

use super::{CHAT, refusal::Refusal};
use crate::state::ChatState;

/// The list of models.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Models<'a> {
    /// `list`.
    object: &'static str,
    /// The models.
    data: Vec<Model<'a>>,
}

/// A model.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Model<'a> {
    /// Its name.
    id: &'a str,
    /// `model`.
    object: &'static str,
    /// Clients require a number, but the date is unknown.
    created: u64,
    /// `rappel`.
    owned_by: &'static str,
}

/// The names of the models. The chat needs a language model.
pub(super) fn names(state: &ChatState) -> Vec<&str> {
    let chat = state.language_model().is_ok().then_some(CHAT);
    let embedding = state.search.embedder.manifest().name.as_str();
    chat.into_iter().chain([embedding]).collect()
}

/// `GET /v1/models`.
pub(super) fn list(state: &ChatState) -> Result<Response, Refusal> {
    let data = names(state).into_iter().map(Model::named).collect();
    let object = "list";
    Ok(http::ok(&Models { object, data })?)
}

/// `GET /v1/models/{id}`.
pub(super) fn one(state: &ChatState, name: &str) -> Result<Response, Refusal> {
    let names = names(state);
    if !names.contains(&name) {
        return Err(Refusal::model(name, &names));
    }
    Ok(http::ok(&Model::named(name))?)
}

impl<'a> Model<'a> {
    fn named(id: &'a str) -> Self {
        Self {
            id,
            object: "model",
            created: 0,
            owned_by: "rappel",
        }
    }
}
