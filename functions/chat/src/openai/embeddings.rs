//! `POST /v1/embeddings`: embeds texts like a search, without storing them.
//! <https://platform.openai.com/docs/api-reference/embeddings/create>

use base64::{Engine as _, prelude::BASE64_STANDARD};
use embedder::{Kind, Manifest};
use json::FieldError;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::{
    Error,
    http::{self, Request, Response},
};

use super::refusal::Refusal;
use crate::state::ChatState;

/// A request. Other fields are ignored.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct EmbeddingsRequest {
    /// The embedding model, if given.
    model: Option<String>,
    /// A text, or a list of them.
    #[schemars(required, schema_with = "input_schema")]
    input: Option<Value>,
    /// `float` or `base64`; `float` if absent.
    #[schemars(extend("enum" = ["float", "base64", null]))]
    encoding_format: Option<String>,
    #[serde(default, deserialize_with = "json::whole")]
    /// The model's own number, if given.
    dimensions: Option<i64>,
    /// `query` or `passage`, or their names in other services; `passage` if absent.
    #[schemars(extend("enum" = ["query", "search_query", "passage", "document", "search_document", null]))]
    input_type: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Embeddings {
    /// `list`.
    object: &'static str,
    /// One embedding per text, in the order of the request.
    data: Vec<Embedding>,
    /// The model.
    model: String,
    /// The tokens of the texts.
    usage: EmbeddingsUsage,
}

/// The embedding of a text.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(clippy::struct_field_names, reason = "OpenAI's names")]
struct Embedding {
    /// `embedding`.
    object: &'static str,
    /// The text's place in the request, from 0.
    index: usize,
    /// Its numbers.
    embedding: Numbers,
}

/// The numbers of an embedding: a list, or in base64 as little-endian 32-bit floats.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EmbeddingNumbers")]
enum Numbers {
    Float(Vec<f32>),
    Base64(String),
}

/// The tokens of the texts.
#[derive(Debug, Serialize, JsonSchema)]
struct EmbeddingsUsage {
    /// Of all texts.
    prompt_tokens: usize,
    /// The same.
    total_tokens: usize,
}

/// Texts to embed, with options.
struct EmbeddingInput {
    texts: Vec<String>,
    kind: Kind,
    base64: bool,
}

/// The most texts of a request: the batch size of `LangChain`. Their embeddings fit a response.
const MOST_TEXTS: usize = 1_000;

pub(super) async fn answer(state: &ChatState, request: &Request) -> Result<Response, Refusal> {
    let request: EmbeddingsRequest = http::json(request)?;
    let model = &state.search.embedder;
    let manifest = model.manifest();
    if let Some(other) = request
        .model
        .as_ref()
        .filter(|name| **name != manifest.name)
    {
        return Err(Refusal::model(other, &[&manifest.name]));
    }
    let asked = request.parse(manifest).map_err(Error::Invalid)?;
    let embedded = model.embed_texts(asked.kind, asked.texts).await?;
    let data = (0_usize..)
        .zip(&embedded.embeddings)
        .map(|(index, embedding)| {
            let numbers = if asked.base64 {
                let bytes: Vec<u8> = embedding.iter().flat_map(|x| x.to_le_bytes()).collect();
                Numbers::Base64(BASE64_STANDARD.encode(bytes))
            } else {
                Numbers::Float(embedding.clone())
            };
            Embedding {
                object: "embedding",
                index,
                embedding: numbers,
            }
        });
    Ok(http::ok(&Embeddings {
        object: "list",
        data: data.collect(),
        model: manifest.name.clone(),
        usage: EmbeddingsUsage {
            prompt_tokens: embedded.tokens,
            total_tokens: embedded.tokens,
        },
    })?)
}

impl EmbeddingsRequest {
    /// Checks every field.
    fn parse(self, manifest: &Manifest) -> Result<EmbeddingInput, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut refuse = |field: &str, detail: String| errors.push(FieldError::new(field, detail));
        let base64 = match self.encoding_format.as_deref() {
            None | Some("float") => false,
            Some("base64") => true,
            Some(other) => {
                refuse(
                    "encoding_format",
                    format!("is {other:?}; use \"float\" or \"base64\""),
                );
                false
            }
        };
        let kind = match self.input_type.as_deref() {
            Some("query" | "search_query") => Kind::Query,
            None | Some("passage" | "document" | "search_document") => Kind::Passage,
            Some(other) => {
                refuse(
                    "input_type",
                    format!("is {other:?}; use \"query\" or \"passage\""),
                );
                Kind::Passage
            }
        };
        let dimensions = i64::try_from(manifest.dimensions).unwrap_or(i64::MAX);
        if self.dimensions.is_some_and(|wanted| wanted != dimensions) {
            let detail = format!("must be {dimensions}, the dimensions of the model");
            refuse("dimensions", detail);
        }
        let texts = texts(self.input.as_ref()).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        });
        if errors.is_empty() {
            Ok(EmbeddingInput {
                texts,
                kind,
                base64,
            })
        } else {
            Err(errors)
        }
    }
}

fn input_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [
        { "type": "string", "minLength": 1 },
        { "type": "array", "items": { "type": "string", "minLength": 1 }, "minItems": 1, "maxItems": MOST_TEXTS },
    ] })
}

fn texts(input: Option<&Value>) -> Result<Vec<String>, FieldError> {
    const TOKENS: &str = "is a list of token ids, which are not supported: send the text";
    let texts = match input {
        None | Some(Value::Null) => return Err(FieldError::new("input", "is missing")),
        Some(Value::String(text)) => return Ok(vec![checked(text, "input")?]),
        Some(Value::Array(texts)) => texts,
        Some(_) => {
            return Err(FieldError::new(
                "input",
                "must be a string or a list of strings",
            ));
        }
    };
    if !(1..=MOST_TEXTS).contains(&texts.len()) {
        let detail = format!("has {} texts; 1 to {MOST_TEXTS} are allowed", texts.len());
        return Err(FieldError::new("input", detail));
    }
    if texts.iter().all(Value::is_number) {
        return Err(FieldError::new("input", TOKENS));
    }
    let texts = texts.iter().enumerate().map(|(at, text)| {
        let field = format!("input[{at}]");
        match text {
            Value::String(text) => checked(text, &field),
            Value::Array(_) => Err(FieldError::new(field, TOKENS)),
            _ => Err(FieldError::new(field, "must be a string")),
        }
    });
    texts.collect()
}

fn checked(text: &str, field: &str) -> Result<String, FieldError> {
    if text.trim().is_empty() {
        return Err(FieldError::new(field, "must not be empty"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_read_alone_and_in_lists() {
        for (input, expected) in [
            (json!("a"), Ok(vec!["a"])),
            (json!(["a", "b"]), Ok(vec!["a", "b"])),
            (json!(null), Err("input")),
            (json!([]), Err("input")),
            (json!([1, 2]), Err("input")),
            (json!([[1], [2]]), Err("input[0]")),
            (json!(["a", " "]), Err("input[1]")),
            (json!(["a", null]), Err("input[1]")),
            (json!({ "a": 1 }), Err("input")),
            (json!(vec!["a"; MOST_TEXTS + 1]), Err("input")),
        ] {
            let read = texts(Some(&input)).map_err(|error| error.field);
            let expected = expected
                .map(|texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect())
                .map_err(str::to_owned);
            assert_eq!(read, expected, "{input}");
        }
    }
}
