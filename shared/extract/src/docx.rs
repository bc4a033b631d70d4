//! DOCX files.

use serde_json::Map;
use undoc::{
    docx::DocxParser,
    render::{RenderOptions, to_markdown},
};

use crate::{Extracted, Reason};

/// Reads a DOCX file as Markdown: its headings and tables, text of revisions as accepted, no pictures.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, Reason> {
    let document = DocxParser::from_bytes(bytes)
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
    Ok(Extracted {
        title: about.title.unwrap_or_default(),
        content: content.trim().to_owned(),
        metadata,
    })
}

fn reason(error: undoc::Error) -> Reason {
    match error {
        undoc::Error::Encrypted => Reason::Encrypted,
        error => Reason::Broken(error.to_string()),
    }
}
