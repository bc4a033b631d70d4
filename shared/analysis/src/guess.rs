//! Guesses the language of a text.

use super::{
    language::{Candidates, Guess, Language, Languages},
    token::Placed,
    tokens::tokens,
    votes::Votes,
};

impl Language {
    /// The most probable language of a question; `None` if its letters are of no language known to Rappel.
    #[must_use]
    pub fn of_question(text: &str) -> Option<Self> {
        let candidates = match Guess::of(text) {
            Guess::Sure(language) => return Some(language),
            Guess::Unsure(Candidates(languages)) => languages,
            Guess::Other => return None,
        };
        // Among the few candidates of its words, letters decide even with low confidence.
        let confidence = if candidates == Languages::ALL {
            Languages::CONFIDENCE
        } else {
            0.0
        };
        match candidates.by_letters(text, confidence) {
            Guess::Sure(language) => Some(language),
            _ => None,
        }
    }
}

impl Guess {
    /// The language from a document's metadata, or else from its text, or its title.
    #[must_use]
    pub fn of_document(name: Option<&str>, title: &str, text: &str) -> Self {
        if let Some(language) = name.and_then(Language::named) {
            return Self::Sure(language);
        }
        match Self::of(text) {
            Self::Unsure(_) => Self::of(&format!("{title}\n{text}")),
            told => told,
        }
    }

    /// Guesses a text's language.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self::from_tokens(&tokens(text), text)
    }

    /// The guess from a text's tokens; several equal candidates are decided by letters.
    pub(super) fn from_tokens(tokens: &[Placed], text: &str) -> Self {
        match Votes::of(tokens).guess() {
            // The letters of a list of names fit any language.
            Self::Unsure(Candidates(languages)) if languages != Languages::ALL => {
                languages.by_letters(text, Languages::CONFIDENCE)
            }
            told => told,
        }
    }
}
