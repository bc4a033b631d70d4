//! Checks of texts to store, and their size in responses.

use std::borrow::Cow;

use json::FieldError;
use unicode_normalization::{UnicodeNormalization as _, is_nfc};

/// The most bytes of a response's body: Lambda's 6 MB, less the envelope. Beyond, Lambda would respond with an
/// error.
pub const ANSWER_LIMIT: usize = 6 * 1024 * 1024 - 16 * 1024;

/// Invisible characters in the category of letters: the fillers of Hangul.
const FILLERS: [char; 4] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}'];

/// Refuses a text without a letter or digit: its embedding is near everything.
pub(super) fn blank(text: &str, field: &str) -> Option<FieldError> {
    let is_read = |character: char| character.is_alphanumeric() && !FILLERS.contains(&character);
    (!text.chars().any(is_read)).then(|| FieldError::new(field, "has no letters or digits"))
}

/// Bytes of a text in a response: it is written as JSON, and Lambda wraps the body in a JSON string.
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

/// White space to keep unchanged: longer runs are neither an indent nor a column.
const MOST_BLANKS: usize = 16;

/// A text whose long runs of white space become a space or, if they contain line breaks, a line or paragraph break.
/// The embedding model's tokenizer hardly counts such a run, but a language model's does.
#[must_use]
pub fn collapsed(text: &str) -> Cow<'_, str> {
    let mut collapsed = String::new();
    let mut copied = 0;
    let mut rest = text;
    while let Some(start) = rest.find(char::is_whitespace) {
        let run = &rest[start..];
        let end = run.find(|character: char| !character.is_whitespace());
        let run = &run[..end.unwrap_or(run.len())];
        let place = text.len() - rest.len() + start;
        if run.chars().nth(MOST_BLANKS).is_some() {
            collapsed.push_str(&text[copied..place]);
            collapsed.push_str(match run.matches('\n').count() {
                0 => " ",
                1 => "\n",
                _ => "\n\n",
            });
            copied = place + run.len();
        }
        rest = &text[place + run.len()..];
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    collapsed.push_str(&text[copied..]);
    Cow::Owned(collapsed)
}

/// A text in Unicode's normal form C.
#[must_use]
pub fn normalised(text: &str) -> Cow<'_, str> {
    if is_nfc(text) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_to_read_has_a_letter_or_a_digit_of_any_script() {
        for text in [
            "",
            " \t\n",
            "—",
            "!?",
            "\u{200b}",
            "\u{feff}\u{feff}",
            "| --- | --- |",
            "\u{1}\u{2}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{fe0f}",
            "🙂",
            "***",
            "\u{301}",
        ] {
            assert!(blank(text, "content").is_some(), "{text:?}");
        }
        for text in ["a", "- 7", "é", "東", "٣", "½", "🙂 ok", "한", "हि"] {
            assert!(blank(text, "content").is_none(), "{text:?}");
        }
    }

    #[test]
    fn long_runs_of_white_space_are_shortened_and_indents_stay() {
        let long = " ".repeat(300);
        for (text, short) in [
            ("a b\n    c".to_owned(), "a b\n    c"),
            (format!("a{long}b"), "a b"),
            (format!("a{long}\n{long}b{long}"), "a\nb "),
            (format!("\n{long}\n\n\u{a0}a\tb"), "\n\na\tb"),
            (String::new(), ""),
        ] {
            assert_eq!(collapsed(&text), short);
        }
    }

    #[test]
    fn the_size_of_a_text_in_a_response_is_known_beforehand() {
        let text: String = (0..0x180_u32)
            .filter_map(char::from_u32)
            .chain("\u{2028}🙂".chars())
            .collect();
        let json = serde_json::to_string(&text).expect("a text is JSON");
        let twice = serde_json::to_string(&json).expect("a text is JSON");
        // The quotation marks around it, and escaped ones inside.
        assert_eq!(answered(&text), twice.len() - 2 - 4);
    }
}
