//! The routes of the chat, in Rappel's protocol and in that of `OpenAI`.

use chat::Body;

use super::super::{
    bodies, examples,
    operation::{JSON, Operation},
    problems::Errors,
};

pub(super) fn chat() -> Vec<Operation> {
    let operation = Operation::new(
        "chat",
        "POST",
        "/chat",
        "chat",
        "Answer a question from the documents",
    )
    .about(
        "One of `question` and `messages` is required. The answer is streamed unless `stream` is `false`; a streamed one that \
         fails after its first byte ends with the event `failure`, a problem document.",
    )
    .takes(
        |generator| Body::ChatRequest.schema(generator),
        examples::chats(),
    )
    .answers_in(
        200,
        "The answer, or its events.",
        vec![
            (JSON, |generator| Body::Answer.schema(generator)),
            ("text/event-stream", bodies::chat_event),
        ],
        Some(examples::answer()),
    )
    .fails(&[501, 502]);
    vec![operation]
}

pub(super) fn open_ai() -> Vec<Operation> {
    let operation = |method, path, id, summary| {
        Operation::new("chat", method, path, id, summary).fails_in(Errors::OpenAi)
    };
    vec![
        operation(
            "POST",
            "/v1/chat/completions",
            "createChatCompletion",
            "The chat in OpenAI's protocol",
        )
        .about("Other fields of OpenAI's are ignored. An invalid field is 400, as at OpenAI's.")
        .takes(
            |generator| Body::CompletionRequest.schema(generator),
            examples::completions(),
        )
        .answers_in(
            200,
            "The answer, or its chunks.",
            vec![
                (JSON, |generator| Body::Completion.schema(generator)),
                ("text/event-stream", bodies::completion_event),
            ],
            None,
        )
        .fails(&[404, 501, 502]),
        operation(
            "POST",
            "/v1/embeddings",
            "createEmbeddings",
            "Embed texts without storing them",
        )
        .takes(
            |generator| Body::EmbeddingsRequest.schema(generator),
            examples::embeddings(),
        )
        .answers_in(
            200,
            "One embedding per text.",
            vec![(JSON, |generator| Body::Embeddings.schema(generator))],
            None,
        )
        .fails(&[404]),
        operation("GET", "/v1/models", "listModels", "The models").answers_in(
            200,
            "The chat, if there is a language model, and the embedding model.",
            vec![(JSON, |generator| Body::Models.schema(generator))],
            None,
        ),
        operation("GET", "/v1/models/{id}", "getModel", "One model").answers_in(
            200,
            "The model.",
            vec![(JSON, |generator| Body::Model.schema(generator))],
            None,
        ),
    ]
}
