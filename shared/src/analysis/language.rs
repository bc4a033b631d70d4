//! The language whose stop words and endings are removed.

use std::cmp::Ordering;

use super::{
    stop_words::told_by,
    tokens::{Token, tokens},
};

/// A language that Rappel analyses.
///
/// Texts of any other are analysed as one of these, the same way each time: they are found by the
/// words as they stand in them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// French.
    French,
    /// English.
    English,
}

impl Language {
    /// The language that a document's metadata names, or else the one that its text tells.
    ///
    /// Texts that tell none, such as tables and lists of names, are taken for French.
    #[must_use]
    pub fn of(name: Option<&str>, text: &str) -> Self {
        name.and_then(Self::named)
            .or_else(|| Self::detected(&tokens(text)))
            .unwrap_or(Self::French)
    }

    /// `fr`, `fr-CA`, `fra`, `French`, `français`, `EN_us`...
    fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        match name.split(['-', '_']).next()? {
            "fr" | "fra" | "fre" | "french" | "français" | "francais" => Some(Self::French),
            "en" | "eng" | "english" | "anglais" => Some(Self::English),
            _ => None,
        }
    }

    /// The language that most of the text's stop words and elisions are of; `None` if they tell none.
    ///
    /// A statistical detector of seventy languages was right less often, least of all on questions.
    pub(super) fn detected(tokens: &[Token]) -> Option<Self> {
        let told = |token: &Token| match token {
            Token::Elision => Some(Self::French),
            Token::Word(word) => told_by(word),
            Token::Code(_) => None,
        };
        let (mut french, mut english) = (0_usize, 0_usize);
        for language in tokens.iter().filter_map(told) {
            match language {
                Self::French => french += 1,
                Self::English => english += 1,
            }
        }
        match french.cmp(&english) {
            Ordering::Greater => Some(Self::French),
            Ordering::Less => Some(Self::English),
            Ordering::Equal => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_languages_in_many_ways() {
        for name in [
            "fr",
            "FR",
            "fr-CA",
            "fr_FR.UTF-8",
            "fra",
            "French",
            "Français",
            " français ",
        ] {
            assert_eq!(Language::named(name), Some(Language::French), "{name}");
        }
        for name in ["en", "en-GB", "eng", "English", "anglais"] {
            assert_eq!(Language::named(name), Some(Language::English), "{name}");
        }
        for name in ["", "de", "frison", "enquête"] {
            assert_eq!(Language::named(name), None, "{name}");
        }
    }

    #[test]
    fn metadata_go_before_the_text_and_french_is_the_last_resort() {
        let english = "What is it?";
        assert_eq!(Language::of(Some("fr"), english), Language::French);
        assert_eq!(Language::of(Some("klingon"), english), Language::English);
        assert_eq!(Language::of(None, english), Language::English);
        assert_eq!(Language::of(None, "CDI CDD"), Language::French);
    }

    #[test]
    fn stop_words_tell_the_language_of_texts_and_questions() {
        for (text, expected) in [
            (
                "Quel est le délai de préavis d'un cadre ?",
                Some(Language::French),
            ),
            (
                "What are the symptoms of Parkinson's disease?",
                Some(Language::English),
            ),
            ("prix de l’or", Some(Language::French)),
            ("L'employeur", Some(Language::French)),
            ("cancer in children", Some(Language::English)),
            ("car insurance", None),
            ("congés payés", None),
            ("prix or", None),
            ("110-1", None),
            ("", None),
        ] {
            assert_eq!(Language::detected(&tokens(text)), expected, "{text}");
        }
    }
}
