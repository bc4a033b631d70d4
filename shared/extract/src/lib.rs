//! Files that people have, as documents: Markdown, HTML, text, PDF and DOCX.
//!
//! [`extract`] reads a file in this process. A [`Sandbox`] reads PDF, DOCX and HTML in a child process, so that a file that
//! crashes its parser, or exceeds the limits of memory and time, is refused and the others are read. The child is the same
//! program once more: the command, or the function, which begins with [`serve_child`].

mod document;
mod docx;
mod format;
mod front_matter;
mod html;
mod markdown;
mod pdf;
mod plain;
mod sandbox;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    document::Origin,
    format::Format,
    sandbox::{Limits, SUBCOMMAND, Sandbox, serve, serve_child},
};

/// Bytes of the largest file.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Pages of the longest PDF file.
pub const MAX_PAGES: usize = 5_000;

/// Characters of the longest text: more than a document may have, because a response of 6 MB has to hold it.
pub const MAX_CHARACTERS: usize = 6_000_000;

/// Bytes of JSON of the longest `page_starts`, as metadata has at most 16 kB: passages of a longer file have no page.
const MAX_STARTS: usize = 12 * 1024;

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Extracted {
    /// Empty if it has none.
    pub title: String,
    /// Its text as Markdown, if the format has headings and tables.
    pub content: String,
    /// Front matter, `language`, `author` and so on; of a PDF file `page_starts`, the offsets in the content, in
    /// characters, at which its pages begin, unless these are too many to be stored.
    pub metadata: Map<String, Value>,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Reason {
    /// It needs a password.
    #[error("it is encrypted: save a copy without a password")]
    Encrypted,
    /// A PDF file without glyphs.
    #[error("it has no text, as scanned pages have none: add it, for example with OCRmyPDF")]
    Scanned,
    /// A PDF file most of whose glyphs have no known character.
    #[error("its fonts do not map to characters: add its text, for example with OCRmyPDF")]
    Unreadable,
    /// It has no text.
    #[error("it is empty")]
    Empty,
    /// It exceeds a limit.
    #[error("it is too large: {0}")]
    Large(String),
    /// It is damaged, or not of the format of its extension.
    #[error("it cannot be read: {0}")]
    Broken(String),
    /// It is text in an unknown encoding.
    #[error("it is not in UTF-8, UTF-16 or Windows-1252: convert it, for example with iconv")]
    Encoding,
    /// It took too long.
    #[error("it was not read within {0} s")]
    Late(u64),
    /// Reading it needs more memory than the limit, or ended the process.
    #[error("reading it failed: {0}")]
    Crashed(String),
    /// The process that reads it could not be started, which is not the file's fault.
    #[error("it was not read: no process can be started: {0}")]
    NotStarted(String),
}

/// Reads a file in this process.
///
/// # Errors
/// Why it cannot be read.
pub fn extract(bytes: Vec<u8>, format: Format) -> Result<Extracted, Reason> {
    if bytes.len() > MAX_BYTES {
        let size = bytes.len();
        return Err(Reason::Large(format!(
            "it has {size} bytes; at most {MAX_BYTES} are read"
        )));
    }
    if bytes.trim_ascii().is_empty() {
        return Err(Reason::Empty);
    }
    let extracted = match format {
        Format::Markdown => markdown::extract(bytes),
        Format::Html => Ok(html::extract(&bytes)),
        Format::Text => plain::extract(bytes),
        Format::Pdf => pdf::extract(bytes),
        Format::Docx => docx::extract(bytes),
    }?;
    checked(extracted)
}

/// What can be stored: without NUL characters, within the limit of length, and not empty.
fn checked(mut extracted: Extracted) -> Result<Extracted, Reason> {
    let starts = extracted.metadata.get("page_starts");
    if starts.is_some_and(|starts| starts.to_string().len() > MAX_STARTS) {
        extracted.metadata.remove("page_starts");
    }
    extracted.content.retain(|character| character != '\0');
    extracted.title = title(&extracted.title);
    // Rules and the borders of tables are not text.
    if !extracted.content.contains(char::is_alphanumeric) {
        // A page that has only a heading is found by it.
        extracted.content.clone_from(&extracted.title);
    }
    if extracted.content.trim().is_empty() {
        return Err(Reason::Empty);
    }
    let characters = extracted.content.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(Reason::Large(format!(
            "its text has {characters} characters; at most {MAX_CHARACTERS} are read"
        )));
    }
    Ok(extracted)
}

/// A title on one line, and no longer than a document's may be.
fn title(text: &str) -> String {
    const CHARACTERS: usize = 1_000;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    line.chars()
        .filter(|character| !character.is_control())
        .take(CHARACTERS)
        .collect()
}
