//! The language of a text, as far as it can be told.

use super::{
    language::{Candidates, Guess, Language, Languages},
    token::Placed,
    tokens::tokens,
    votes::Votes,
};

impl Language {
    /// The language that a question most probably is in; nothing if its letters are of no language that Rappel knows.
    #[must_use]
    pub fn of_question(text: &str) -> Option<Self> {
        let candidates = match Guess::of(text) {
            Guess::Sure(language) => return Some(language),
            Guess::Unsure(Candidates(languages)) => languages,
            Guess::Other => return None,
        };
        // Between the few that its words leave, the letters choose even where they say little.
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
    /// The language that a document's metadata names, or else the one that its text tells, or its title.
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

    /// The language that a text tells.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self::from_tokens(&tokens(text), text)
    }

    /// What the tokens of a text tell; if several languages are as likely, what its letters do.
    pub(super) fn from_tokens(tokens: &[Placed], text: &str) -> Self {
        match Votes::of(tokens).guess() {
            // A list of names has letters like those of any language.
            Self::Unsure(Candidates(languages)) if languages != Languages::ALL => {
                languages.by_letters(text, Languages::CONFIDENCE)
            }
            told => told,
        }
    }
}
