//! Chunks and embeds documents.

use document_store::{Passage, Prepared};
use embedder::{Chunk, Embedder, EmbedderError, Kind, titled};

/// Chunks and embeds documents; passages of all documents share batches.
///
/// # Errors
/// When the tokenizer or the inference fails.
pub fn embed(embedder: &Embedder, documents: &mut [Prepared]) -> Result<(), EmbedderError> {
    for document in &mut *documents {
        let chunks = embedder.chunks(document.title(), document.content())?;
        document.set_passages(chunks.into_iter().map(passage));
    }
    let mut texts = Vec::new();
    for document in &*documents {
        let chunks = document.chunks();
        texts.extend(chunks.map(|(heading, text)| titled(document.title(), heading, text)));
    }
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let mut embeddings = embedder.embed(Kind::Passage, &texts)?.into_iter();
    for document in documents {
        document.set_embeddings(&mut embeddings);
    }
    Ok(())
}

fn passage(chunk: Chunk) -> Passage {
    Passage {
        start: chunk.start,
        heading: chunk.heading,
        content: chunk.content,
    }
}
