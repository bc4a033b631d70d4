//! Hashes that tell what of a stored document is another one's: nothing, its metadata alone, or its text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::metadata::Metadata;

/// What chunks and embeddings are made of; with another number, every document that is stored again
/// is chunked and embedded again. 2: the title is embedded with each chunk. 3: so is the heading.
const RECIPE: u8 = 3;

/// SHA-256 of recipe, title, content and metadata.
pub(super) fn document(title: &str, content: &str, metadata: &Metadata) -> Vec<u8> {
    sha256([
        &[RECIPE],
        title.as_bytes(),
        content.as_bytes(),
        metadata.as_json().as_bytes(),
    ])
}

/// SHA-256 of what chunks and embeddings are made of, and of the document's whole hash. A version of Rappel that
/// knows of no such hash leaves it behind beside another whole one, and it counts no more.
pub(super) fn text(title: &str, content: &str, language: Option<&str>, document: &[u8]) -> Vec<u8> {
    let language = language.unwrap_or_default();
    sha256([
        &[RECIPE],
        title.as_bytes(),
        content.as_bytes(),
        language.as_bytes(),
        document,
    ])
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// SHA-256 of fields, each preceded by its length so that no text can move from one to the next unnoticed.
fn sha256<const N: usize>(fields: [&[u8]; N]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hash.finalize().to_vec()
}
