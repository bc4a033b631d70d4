//! The beginning of a word, for search-as-you-type.

use crate::normal::{lower_case, normal, without_accents};

/// Letters from which on a beginning tells something of its word.
const LEAST: usize = 2;

/// The last word of a text, as terms are written but with its ending, if it may go on: the text ends with it, and it has at least
/// two letters or digits.
#[must_use]
pub fn beginning(text: &str) -> Option<String> {
    let text = normal(text);
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, character)| character.is_alphanumeric())
        .last()?
        .0;
    let word = without_accents(&lower_case(&text[start..]));
    (word.chars().count() >= LEAST).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_may_go_on() {
        for (text, word) in [
            ("contrat de trav", Some("trav")),
            ("l\u{2019}Empl", Some("empl")),
            ("non-conc", Some("conc")),
            ("congés pay\u{e9}", Some("paye")),
            ("article L110", Some("l110")),
            ("co", Some("co")),
            ("c", None),
            ("contrat ", None),
            ("contrat,", None),
            ("", None),
        ] {
            assert_eq!(beginning(text).as_deref(), word, "{text}");
        }
    }
}
