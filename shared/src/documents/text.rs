//! What a text must be like to be worth storing, and to be read back.

use crate::error::FieldError;

use super::LINE_LIMIT;

/// Bytes of the largest body that is answered: Lambda's 6 MB, less what is around it. Beyond, Lambda would
/// answer with an error of its own.
pub const ANSWER_LIMIT: usize = LINE_LIMIT - 16 * 1024;

/// Letters by their category that nobody sees: they fill a place in Hangul.
const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Says of a text without a letter or digit that nothing is in it to search. The embedding of one is near
/// everything.
pub(super) fn blank(text: &str, field: &str) -> Option<FieldError> {
    let is_read = |character: char| character.is_alphanumeric() && !FILLERS.contains(&character);
    (!text.chars().any(is_read)).then(|| FieldError::new(field, "has no letters or digits"))
}

/// Bytes that a text takes in an answer: it is written as JSON, and the body travels as a string within JSON.
pub(super) fn answered(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 4,
            b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 3,
            0x00..0x20 => 7,
            _ => 1,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_to_read_has_a_letter_or_a_digit_of_any_script() {
        for text in [
            "", " \t\n", "—", "!?", "\u{200b}", "\u{feff}\u{feff}", "| --- | --- |", "\u{1}\u{2}", "\u{ad}",
            "\u{3164}", "\u{2800}", "\u{fe0f}", "🙂", "***", "\u{301}",
        ] {
            assert!(blank(text, "content").is_some(), "{text:?}");
        }
        for text in ["a", "- 7", "é", "東", "٣", "½", "🙂 ok", "한", "हि"] {
            assert!(blank(text, "content").is_none(), "{text:?}");
        }
    }

    #[test]
    fn what_a_text_takes_in_an_answer_is_known_beforehand() {
        let text: String = (0..0x180_u32)
            .filter_map(|code| char::from_u32(code))
            .chain("\u{2028}🙂".chars())
            .collect();
        let json = serde_json::to_string(&text).expect("a text is JSON");
        let twice = serde_json::to_string(&json).expect("a text is JSON");
        // Two quotation marks around it, of which the inner ones are escaped.
        assert_eq!(answered(&text), twice.len() - 2 - 4);
    }
}
