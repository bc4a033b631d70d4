//! Embeds a caller's texts like those of searches and documents.

use embedder::{Embedder, EmbedderError, Kind};
use json::FieldError;
use shared::Error;

use crate::LazyEmbedder;

/// Embedded texts.
#[derive(Debug)]
pub struct Embedded {
    /// One unit vector per text, in order.
    pub embeddings: Vec<Vec<f32>>,
    /// The tokens that the model read.
    pub tokens: usize,
}

/// The most tokens of a request: about a hundred seconds on one CPU without VNNI.
const MOST_TOKENS: usize = 100_000;

impl LazyEmbedder {
    /// Embeds texts without truncating any.
    ///
    /// # Errors
    /// Names `input`, or its text that is too long for the model; also when the inference fails.
    pub async fn embed_texts(&self, kind: Kind, texts: Vec<String>) -> Result<Embedded, Error> {
        let embedded = self.with(move |embedder| embed_texts(embedder, kind, &texts));
        Ok(embedded.await??)
    }
}

fn embed_texts(
    embedder: &Embedder,
    kind: Kind,
    texts: &[String],
) -> Result<Result<Embedded, FieldError>, EmbedderError> {
    let manifest = embedder.manifest();
    let (prefix, limit) = (manifest.prefix(kind), manifest.max_tokens);
    let around = embedder.tokenize("")?.len();
    let mut tokens = 0;
    for (at, text) in texts.iter().enumerate() {
        let read = embedder.tokenize(&format!("{prefix}{text}"))?.len();
        // At the limit the text may have been truncated.
        let all = if read < limit {
            read
        } else {
            embedder.count_tokens(&format!("{prefix}{text}"))? + around
        };
        if all > limit {
            let field = match texts.len() {
                1 => "input".to_owned(),
                _ => format!("input[{at}]"),
            };
            let detail = format!("has {all} tokens; the model reads {limit}: split it");
            return Ok(Err(FieldError::new(field, detail)));
        }
        tokens += read;
        if tokens > MOST_TOKENS {
            let detail =
                format!("has more than {MOST_TOKENS} tokens in all: send fewer texts at a time");
            return Ok(Err(FieldError::new("input", detail)));
        }
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let embeddings = embedder.embed(kind, &texts)?;
    Ok(Ok(Embedded { embeddings, tokens }))
}
