//! The format of a file, by its extension, its content type or its first bytes.

use std::path::Path;

use crate::docx;

/// A format that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `CommonMark`, with or without front matter.
    Markdown,
    /// HTML in any version.
    Html,
    /// Any text.
    Text,
    /// PDF.
    Pdf,
    /// Office Open XML of a word processor.
    Docx,
}

/// The mark of a PDF file.
const PDF: &[u8] = b"%PDF-";

/// Names, extensions, and content types.
const FORMATS: [(Format, &str, &[&str], &[&str]); 5] = [
    (
        Format::Markdown,
        "markdown",
        &["md", "markdown", "mdown", "mkd", "mdx"],
        &["text/markdown", "text/x-markdown"],
    ),
    (
        Format::Html,
        "html",
        &["html", "htm", "xhtml"],
        &["text/html", "application/xhtml+xml"],
    ),
    (
        Format::Text,
        "text",
        &["txt", "text", "rst", "adoc", "asciidoc", "org"],
        &["text/plain"],
    ),
    (Format::Pdf, "pdf", &["pdf"], &["application/pdf"]),
    (
        Format::Docx,
        "docx",
        &["docx"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
    ),
];

impl Format {
    /// The format of a file by its extension, in letters of either case.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        find(|(.., extensions, _)| extensions.contains(&extension.as_str()))
    }

    /// The format of a content type, with or without parameters.
    #[must_use]
    pub fn of_content_type(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
        find(|(.., types)| types.contains(&essence.as_str()))
    }

    /// The format of a file by its first bytes, if these are of no other: PDF, DOCX and HTML. Of a DOCX file, the more of
    /// it is passed the better, since it is an archive that need not begin with its text.
    #[must_use]
    pub fn of_content(bytes: &[u8]) -> Option<Self> {
        // Readers of PDF find its mark anywhere in the first kilobyte.
        let beginning = &bytes[..bytes.len().min(1024)];
        if contains(beginning, PDF) {
            return Some(Self::Pdf);
        }
        if bytes.starts_with(docx::ARCHIVE) && contains(bytes, b"word/") {
            return Some(Self::Docx);
        }
        let text = String::from_utf8_lossy(beginning).to_ascii_lowercase();
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let is_html = ["<!doctype html", "<html"]
            .iter()
            .any(|mark| text.starts_with(mark));
        is_html.then_some(Self::Html)
    }

    /// The format of an object: by its first bytes, which tell a PDF file from whatever it is called, by the extension of
    /// its name, or by its content type.
    #[must_use]
    pub fn of_object(name: &Path, content_type: Option<&str>, bytes: &[u8]) -> Option<Self> {
        let content = Self::of_content(bytes);
        let named = Self::of_path(name).or_else(|| Self::of_content_type(content_type?));
        // It may tell of PDF files in its first lines.
        let is_text = named.is_some_and(Self::is_text) && !bytes.starts_with(PDF);
        let is_certain = |format: &Self| match format {
            Self::Html => false,
            Self::Pdf => !is_text,
            _ => true,
        };
        content.filter(is_certain).or(named).or(content)
    }

    /// The format of a [name](Self::name).
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        find(|(_, other, ..)| *other == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let of = FORMATS.iter().find(|(format, ..)| *format == self);
        of.map_or("", |(_, name, ..)| name)
    }

    /// Its name in messages.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Text => "text",
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
        }
    }

    /// Whether its files are text, which JSON can hold.
    #[must_use]
    pub fn is_text(self) -> bool {
        matches!(self, Self::Markdown | Self::Html | Self::Text)
    }

    /// Whether a file may crash its parser or exhaust its memory; text and Markdown are only searched for a few marks.
    #[must_use]
    pub fn needs_sandbox(self) -> bool {
        matches!(self, Self::Html | Self::Pdf | Self::Docx)
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

fn find(is: impl Fn(&(Format, &str, &[&str], &[&str])) -> bool) -> Option<Format> {
    FORMATS
        .iter()
        .find(|row| is(row))
        .map(|(format, ..)| *format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_goes_by_extension_or_content_type() {
        for (name, format) in [
            ("a/b.md", Some(Format::Markdown)),
            ("B.PDF", Some(Format::Pdf)),
            ("été.HTM", Some(Format::Html)),
            (".md", None),
            ("a.docx.bak", None),
            ("README", None),
        ] {
            assert_eq!(Format::of_path(Path::new(name)), format, "{name}");
        }
        assert_eq!(
            Format::of_content_type("Text/HTML; charset=utf-8"),
            Some(Format::Html)
        );
        assert_eq!(Format::of_content_type("image/png"), None);
    }

    #[test]
    fn an_object_goes_by_its_first_bytes_its_name_or_its_content_type() {
        let octets = Some("binary/octet-stream");
        for (name, content_type, bytes, format) in [
            ("a.txt", None, b"%PDF-1.7\n".as_slice(), Some(Format::Pdf)),
            ("a", octets, b"\r\n%PDF-1.7\n", Some(Format::Pdf)),
            (
                "a.md",
                None,
                b"It begins with `%PDF-`.",
                Some(Format::Markdown),
            ),
            (
                "a",
                octets,
                b"PK\x03\x04...word/main.xml",
                Some(Format::Docx),
            ),
            ("a", octets, b"PK\x03\x04...xl/workbook.xml", None),
            (
                "a",
                octets,
                b"\xef\xbb\xbf\n<!DOCTYPE html>",
                Some(Format::Html),
            ),
            (
                "a.md",
                Some("text/plain"),
                b"<html>",
                Some(Format::Markdown),
            ),
            (
                "a",
                Some("text/markdown; charset=utf-8"),
                b"# A",
                Some(Format::Markdown),
            ),
            ("a.jsonl", Some("application/jsonl"), b"{}", None),
            ("README", None, b"Read me.", None),
        ] {
            assert_eq!(
                Format::of_object(Path::new(name), content_type, bytes),
                format,
                "{name}"
            );
        }
    }

    #[test]
    fn each_format_is_found_by_its_name() {
        for (format, name, ..) in FORMATS {
            assert_eq!(Format::of_name(name), Some(format));
            assert_eq!(format.name(), name);
        }
    }
}
