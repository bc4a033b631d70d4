//! Documents made ready to be stored: chunked, embedded, and their words analysed.

use super::{batch::CheckedDocument, input::read_line};
use crate::{
    analysis::{self, Guess, Terms},
    embedder::{Chunk, Embedder, EmbedderError, Kind, titled},
};

/// A document with its chunks.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) document: CheckedDocument,
    pub(super) chunks: Vec<PreparedChunk>,
}

/// A chunk as it is stored.
#[derive(Clone, Debug)]
pub(super) struct PreparedChunk {
    /// Where it begins in the content, in characters.
    pub(super) start: i32,
    /// What it stands under.
    pub(super) heading: String,
    pub(super) content: String,
    /// The model's dimensions long.
    pub(super) embedding: Vec<f32>,
    /// Of the title, the heading and the chunk.
    pub(super) terms: Terms,
}

impl Prepared {
    pub(super) fn new(document: CheckedDocument) -> Self {
        Self {
            document,
            chunks: Vec::new(),
        }
    }

    /// Reads and checks the document of a line of JSON.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let document = CheckedDocument::parse(read_line(line)?, "");
        document.map(Self::new).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        })
    }

    /// The document's hash: two with one hash are the same.
    #[must_use]
    pub fn hash(&self) -> &[u8] {
        &self.document.hash
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.document.id.as_str()
    }

    /// Chunks, embeds and analyses documents; passages of all of them share batches.
    ///
    /// # Errors
    /// When the tokenizer or the inference fails.
    pub fn embed(embedder: &Embedder, documents: &mut [Self]) -> Result<(), EmbedderError> {
        for prepared in &mut *documents {
            prepared.chunks = chunks(embedder, &prepared.document)?;
        }
        let mut texts = Vec::new();
        for Self { document, chunks } in &*documents {
            let title = &document.title;
            let text = |chunk: &PreparedChunk| titled(title, &chunk.heading, &chunk.content);
            texts.extend(chunks.iter().map(text));
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embeddings = embedder.embed(Kind::Passage, &texts)?;
        let chunks = documents
            .iter_mut()
            .flat_map(|prepared| &mut prepared.chunks);
        for (chunk, embedding) in chunks.zip(embeddings) {
            chunk.embedding = embedding;
        }
        Ok(())
    }
}

/// The terms of a chunk, with those of its title and heading.
pub(super) fn chunk_terms(title: &str, heading: &str, content: &str, guess: Guess) -> Terms {
    if heading.is_empty() {
        return analysis::passage(title, content, guess);
    }
    analysis::passage(&format!("{title}\n{heading}"), content, guess)
}

/// The chunks of a document, not embedded yet.
fn chunks(
    embedder: &Embedder,
    document: &CheckedDocument,
) -> Result<Vec<PreparedChunk>, EmbedderError> {
    let named = document.metadata.language();
    let guess = Guess::of_document(named.as_deref(), &document.title, &document.content);
    let chunks = embedder
        .chunks(&document.title, &document.content)?
        .into_iter();
    // What has neither a letter nor a digit says nothing, and whatever a model makes of that is as near to one question
    // as to any other: such a document is stored, and not found.
    let says_something = |chunk: &Chunk| {
        let parts = [&document.title, &chunk.heading, &chunk.content];
        parts
            .iter()
            .any(|part| part.contains(char::is_alphanumeric))
    };
    Ok(chunks
        .filter(says_something)
        .map(|chunk| PreparedChunk {
            start: i32::try_from(chunk.start).unwrap_or(i32::MAX),
            terms: chunk_terms(&document.title, &chunk.heading, &chunk.content, guess),
            heading: chunk.heading,
            content: chunk.content,
            embedding: Vec::new(),
        })
        .collect())
}
