//! Plain text.

use std::io::{Cursor, Read as _};

use serde_json::Map;

use crate::{Extracted, Reason};

/// Reads a text, whose first line is its title if it is set off by a blank line.
pub(super) fn extract(bytes: Vec<u8>) -> Result<Extracted, Reason> {
    let content = text(bytes)?;
    Ok(Extracted {
        title: heading(&content).unwrap_or_default().to_owned(),
        content,
        metadata: Map::new(),
    })
}

/// A text in UTF-8 or UTF-16, with or without a byte order mark, or in Windows-1252, with line breaks of any system.
pub(super) fn text(bytes: Vec<u8>) -> Result<String, Reason> {
    let broken = |error: std::io::Error| Reason::Broken(error.to_string());
    let mut decoded = Vec::new();
    records::text(Box::new(Cursor::new(bytes)))
        .map_err(broken)?
        .read_to_end(&mut decoded)
        .map_err(broken)?;
    let text = String::from_utf8(decoded)
        .or_else(|error| records::western(error.as_bytes()).ok_or(Reason::Encoding))?;
    if text.contains('\0') {
        return Err(Reason::Broken("it is not text".to_owned()));
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// The first line, if it looks like a title: short, alone, and without the end of a sentence.
fn heading(text: &str) -> Option<&str> {
    const CHARACTERS: usize = 120;
    let text = text.trim_start_matches(['\n', ' ', '\t']);
    let mut lines = text.lines();
    let first = lines.next()?.trim();
    let is_underline = |line: &str| {
        line.chars().count() >= 3 && line.chars().all(|mark| "=-~*#^\"".contains(mark))
    };
    // reStructuredText draws a line below its titles, and above the largest.
    let (title, next) = if is_underline(first) {
        (lines.next()?.trim(), lines.next()?.trim())
    } else {
        (first, lines.next()?.trim())
    };
    let title = title.trim_start_matches(['=', '#', '*']).trim();
    let is_short = !title.is_empty() && title.chars().count() <= CHARACTERS;
    let is_alone = next.is_empty() || is_underline(next);
    (is_short && is_alone && !title.ends_with(['.', ':', ',', ';'])).then_some(title)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_line_that_is_set_off_is_the_title() {
        for (text, title) in [
            ("Guide\n\nBody.", "Guide"),
            ("\n\nGuide\n=====\nBody.", "Guide"),
            ("=====\nGuide\n=====\n\nBody.", "Guide"),
            ("= Guide\n\nBody.", "Guide"),
            ("A first sentence.\n\nAnother.", ""),
            ("one line\nand another", ""),
            ("alone", ""),
        ] {
            let extracted = extract(text.into()).expect(text);
            assert_eq!(extracted.title, title, "{text}");
            assert_eq!(extracted.content, text);
        }
    }

    #[test]
    fn text_is_read_in_utf_8_utf_16_and_windows_1252() {
        let utf16: Vec<u8> = [0xff, 0xfe]
            .into_iter()
            .chain("été\r\n".encode_utf16().flat_map(u16::to_le_bytes))
            .collect();
        assert_eq!(text(utf16), Ok("été\n".to_owned()));
        assert_eq!(text(b"\xef\xbb\xbfa\rb".into()), Ok("a\nb".to_owned()));
        let western = text(b"L'\xe9t\xe9 \x96 c\x92est tout.".into());
        assert_eq!(western, Ok("L'été – c’est tout.".to_owned()));
        // Too little to tell.
        assert_eq!(text(b"\xe9t\xe9".into()), Err(Reason::Encoding));
        assert!(matches!(text(b"abc\0\0def".into()), Err(Reason::Broken(_))));
    }
}
