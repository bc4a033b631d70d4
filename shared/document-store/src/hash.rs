//! Hashes that tell what of a document has changed: nothing, only its metadata, or its text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use super::metadata::Metadata;

/// The version of chunks and embeddings; after a change, every document that is stored again is chunked and
/// embedded again. 2: the title is embedded with each chunk. 3: so is the heading.
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

/// SHA-256 of the input of chunks and embeddings, and of the document's whole hash. A version of Rappel without
/// this hash leaves it beside another whole hash, which makes it invalid.
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

/// SHA-256 of fields, each after its length, so that moving text between fields changes the hash.
fn sha256<const N: usize>(fields: [&[u8]; N]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for field in fields {
        hash.update((field.len() as u64).to_le_bytes());
        hash.update(field);
    }
    hash.finalize().to_vec()
}
