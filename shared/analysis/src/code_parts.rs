//! The parts of a code, and its key.

use super::normal::without_accents;

/// File extensions, which people do not remember as part of the name.
pub(super) const EXTENSIONS: [&str; 48] = [
    "7z", "avi", "bak", "bmp", "c", "conf", "cpp", "cs", "csv", "doc", "docx", "eml", "epub",
    "gif", "gz", "htm", "html", "java", "jpeg", "jpg", "js", "json", "log", "md", "mov", "mp3",
    "mp4", "msg", "odp", "ods", "odt", "pdf", "png", "ppt", "pptx", "py", "rs", "rtf", "sql",
    "svg", "tar", "tif", "tiff", "ts", "txt", "xls", "xlsx", "zip",
];

/// A code's key: its letters and digits, and the dots between digits; without a file extension.
pub(super) fn key(code: &str) -> String {
    let name = extension(code).map_or(code, |extension| &code[..code.len() - extension.len() - 1]);
    let name = without_accents(name);
    let mut key = String::with_capacity(name.len());
    let mut rest = name.chars().peekable();
    while let Some(character) = rest.next() {
        let is_point = character == '.'
            && key.ends_with(|last: char| last.is_ascii_digit())
            && rest.peek().is_some_and(char::is_ascii_digit);
        if is_point || character.is_alphanumeric() {
            key.push(character);
        }
    }
    key
}

/// The known extension of a file, if any.
pub(super) fn extension(name: &str) -> Option<&str> {
    let (before, extension) = name.rsplit_once('.')?;
    (!before.is_empty() && EXTENSIONS.contains(&extension)).then_some(extension)
}

/// The runs of letters, and the numbers with their dots, in order.
pub(super) fn parts(code: &str) -> Vec<&str> {
    let kind = |character: char| match character {
        '0'..='9' => 2,
        '.' | ',' => 3,
        other if other.is_alphanumeric() || is_mark(other) => 1,
        _ => 0,
    };
    let mut parts = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let wanted = kind(first);
        let mut end = rest
            .find(|character| kind(character) != wanted)
            .unwrap_or(rest.len());
        if wanted == 2 {
            // A dot between digits belongs to the number.
            while let Some(after) = rest[end..].strip_prefix(['.', ','])
                && after.starts_with(|next: char| next.is_ascii_digit())
            {
                let digits = after
                    .find(|character: char| !character.is_ascii_digit())
                    .unwrap_or(after.len());
                end += 1 + digits;
            }
        }
        if wanted == 1 || wanted == 2 {
            parts.push(&rest[..end]);
        }
        rest = &rest[end..];
    }
    parts
}

fn is_mark(character: char) -> bool {
    unicode_normalization::char::is_combining_mark(character)
}
