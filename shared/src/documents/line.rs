//! A document as a line of a file.

use serde::Deserialize;

use super::{batch::DocumentInput, fields::Metadata};

/// Bytes of the longest line: what one request to the API may hold.
pub const LINE_LIMIT: usize = 6 * 1024 * 1024;

/// A line of a file, in the spelling of BEIR (`_id`, `text`) or of the API (`id`, `content`). Other
/// keys are ignored: such files carry what their makers needed.
#[derive(Deserialize)]
struct Record {
    #[serde(alias = "_id")]
    id: Option<String>,
    title: Option<String>,
    #[serde(alias = "text")]
    content: String,
    metadata: Option<Metadata>,
}

/// Reads a line of JSON.
///
/// # Errors
/// Says what is wrong with it.
pub fn read_line(line: &[u8]) -> Result<DocumentInput, String> {
    let record: Record = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    Ok(DocumentInput {
        id: record.id,
        title: record.title.unwrap_or_default(),
        content: record.content,
        metadata: record.metadata.unwrap_or_default(),
    })
}
