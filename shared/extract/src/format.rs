//! The format of a file, by its extension or its content type.

use std::path::Path;

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

    /// Whether a file may crash its parser or exhaust its memory; text and Markdown are only searched for a few marks.
    #[must_use]
    pub fn needs_sandbox(self) -> bool {
        matches!(self, Self::Html | Self::Pdf | Self::Docx)
    }
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
    fn each_format_is_found_by_its_name() {
        for (format, name, ..) in FORMATS {
            assert_eq!(Format::of_name(name), Some(format));
            assert_eq!(format.name(), name);
        }
    }
}
