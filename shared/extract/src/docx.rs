//! DOCX files.

mod parts;

use serde_json::Map;
use undoc::{
    docx::DocxParser,
    render::{RenderOptions, to_markdown},
};

use crate::{Extracted, Reason, markdown::first_heading};

/// The first bytes of an archive.
pub(super) const ARCHIVE: &[u8] = b"PK\x03\x04";

/// The first bytes of a compound file: a container of Office 97, and of encrypted files of later versions.
const COMPOUND: [u8; 8] = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];

/// Reads a DOCX file as Markdown: its headings and tables, text of revisions as accepted, no pictures.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, Reason> {
    if bytes.starts_with(&COMPOUND) {
        return Err(compound(&bytes));
    }
    let document = DocxParser::from_bytes(parts::renamed(bytes))
        .and_then(|mut parser| parser.parse())
        .map_err(reason)?;
    let options = RenderOptions {
        // The text is searched, not shown as Markdown.
        escape_special_chars: false,
        include_images: false,
        max_heading_level: 6,
        ..RenderOptions::default()
    };
    let content = to_markdown(&document, &options).map_err(reason)?;
    let about = document.metadata;
    let mut metadata = Map::new();
    for (key, value) in [
        ("author", about.author),
        ("subject", about.subject),
        ("description", about.description),
        ("created", about.created),
    ] {
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            metadata.insert(key.to_owned(), value.into());
        }
    }
    let named = about.title.filter(|title| !title.trim().is_empty());
    let (title, content) = if let Some(title) = named {
        (title, content.as_str())
    } else {
        let (heading, rest) = first_heading(&content);
        (heading.unwrap_or_default(), rest)
    };
    Ok(Extracted {
        title,
        content: content.trim().to_owned(),
        metadata,
    })
}

fn compound(bytes: &[u8]) -> Reason {
    // The name of the stream that holds the encrypted file ([MS-OFFCRYPTO] 2.3.4.4).
    let stream: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    if bytes.windows(stream.len()).any(|window| window == stream) {
        return Reason::Encrypted;
    }
    Reason::Broken("it has the format of Word 97 to 2003: save it as DOCX".to_owned())
}

fn reason(error: undoc::Error) -> Reason {
    match error {
        undoc::Error::Encrypted => Reason::Encrypted,
        error => Reason::Broken(error.to_string()),
    }
}
