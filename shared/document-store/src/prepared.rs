//! Documents ready to be stored: chunked, embedded, and analysed.

use analysis::{self, Guess, Terms};

use super::{batch::CheckedDocument, input::read_line};

/// A document with its chunks.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) document: CheckedDocument,
    pub(super) chunks: Vec<PreparedChunk>,
}

/// A part of a document's content, embedded and found by itself.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Its offset in the content, in characters.
    pub start: usize,
    /// Its headings.
    pub heading: String,
    /// Its text.
    pub content: String,
}

/// A chunk as it is stored.
#[derive(Clone, Debug)]
pub(super) struct PreparedChunk {
    /// Its offset in the content, in characters.
    pub(super) start: i32,
    /// Its headings.
    pub(super) heading: String,
    pub(super) content: String,
    /// As long as the model's dimensions.
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
    /// Describes the error.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let document = CheckedDocument::parse(read_line(line)?, "");
        document.map(Self::new).map_err(|errors| {
            let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
            texts.join("; ")
        })
    }

    /// The document's hash: equal for equal documents.
    #[must_use]
    pub fn hash(&self) -> &[u8] {
        &self.document.hash
    }

    /// The document's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.document.id.as_str()
    }

    /// The document's title; empty if it has none.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// The document's text.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.document.content
    }

    /// Makes chunks of the passages, with the terms for keyword search. Their embeddings must then be
    /// [set](Self::set_embeddings).
    pub fn set_passages(&mut self, passages: impl IntoIterator<Item = Passage>) {
        let document = &self.document;
        let named = document.metadata.language();
        let guess = Guess::of_document(named.as_deref(), &document.title, &document.content);
        // The embedding of a passage without a letter or a digit is equally near to all questions: such a document
        // is stored, but not found.
        let says_something = |passage: &Passage| {
            let parts = [&document.title, &passage.heading, &passage.content];
            parts
                .iter()
                .any(|part| part.contains(char::is_alphanumeric))
        };
        let chunks = passages.into_iter().filter(says_something);
        self.chunks = chunks
            .map(|passage| PreparedChunk {
                start: i32::try_from(passage.start).unwrap_or(i32::MAX),
                terms: chunk_terms(&document.title, &passage.heading, &passage.content, guess),
                heading: passage.heading,
                content: passage.content,
                embedding: Vec::new(),
            })
            .collect();
    }

    /// Heading and text of each chunk, in order.
    pub fn chunks(&self) -> impl Iterator<Item = (&str, &str)> {
        let chunks = self.chunks.iter();
        chunks.map(|chunk| (chunk.heading.as_str(), chunk.content.as_str()))
    }

    /// Gives each chunk the next embedding, as long as the model's dimensions.
    pub fn set_embeddings(&mut self, embeddings: &mut impl Iterator<Item = Vec<f32>>) {
        for (chunk, embedding) in self.chunks.iter_mut().zip(embeddings) {
            chunk.embedding = embedding;
        }
    }
}

/// The terms of a chunk, with those of its title and heading.
pub(super) fn chunk_terms(title: &str, heading: &str, content: &str, guess: Guess) -> Terms {
    if heading.is_empty() {
        return analysis::passage(title, content, guess);
    }
    analysis::passage(&format!("{title}\n{heading}"), content, guess)
}
