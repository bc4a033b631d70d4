//! The bodies of requests and answers, for the description of the API.

use schemars::{Schema, SchemaGenerator};

use crate::{
    answer::Whole,
    done::Done,
    event::{Sources, Text},
    openai::{ChatCompletion, Embeddings, EmbeddingsRequest, ErrorAnswer, Model, Models},
    request::{ChatRequest, CompletionRequest},
};

/// The body of a request or an answer, or the data of an event.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// The request of `POST /chat`.
    ChatRequest,
    /// The answer of `POST /chat` in one piece.
    Answer,
    /// The data of the event `sources`.
    SourcesEvent,
    /// The data of the events `delta` and `reasoning`.
    TextEvent,
    /// The data of the event `done`.
    DoneEvent,
    /// The request of `POST /v1/chat/completions`.
    CompletionRequest,
    /// The answer of `POST /v1/chat/completions` in one piece.
    Completion,
    /// The request of `POST /v1/embeddings`.
    EmbeddingsRequest,
    /// The answer of `POST /v1/embeddings`.
    Embeddings,
    /// The answer of `GET /v1/models`.
    Models,
    /// The answer of `GET /v1/models/{id}`.
    Model,
    /// An error of a route below `/v1`.
    Error,
}

impl Body {
    /// Its JSON schema.
    pub fn schema(self, generator: &mut SchemaGenerator) -> Schema {
        match self {
            Self::ChatRequest => generator.subschema_for::<ChatRequest>(),
            Self::Answer => generator.subschema_for::<Whole>(),
            Self::SourcesEvent => generator.subschema_for::<Sources>(),
            Self::TextEvent => generator.subschema_for::<Text>(),
            Self::DoneEvent => generator.subschema_for::<Done>(),
            Self::CompletionRequest => generator.subschema_for::<CompletionRequest>(),
            Self::Completion => generator.subschema_for::<ChatCompletion>(),
            Self::EmbeddingsRequest => generator.subschema_for::<EmbeddingsRequest>(),
            Self::Embeddings => generator.subschema_for::<Embeddings>(),
            Self::Models => generator.subschema_for::<Models>(),
            Self::Model => generator.subschema_for::<Model>(),
            Self::Error => generator.subschema_for::<ErrorAnswer>(),
        }
    }
}
