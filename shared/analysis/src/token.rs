//! Search tokens of a text.

use std::ops::Range;

/// One occurrence of a searchable item.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Letters, in lower case with accents: a stem, or nothing for a stop word that is not an acronym.
    Word {
        /// The letters.
        text: String,
        /// Whether it was in capitals, among words that are not.
        acronym: bool,
    },
    /// Searched as it is: `1.5`, `covid19`, `l110-1`, `c++`.
    Code(String),
    /// A French or Italian elision before an apostrophe: not a term, it only indicates the language.
    Elision(String),
}

/// Where a token is used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// In questions, and in passages and their length.
    Counted,
    /// Another form of a counted token, in passages and questions.
    Form,
    /// Another form, only in passages: questions need not ask for it.
    Indexed,
    /// Another form, only in questions.
    Asked,
}

impl Role {
    pub(super) fn is_counted(self) -> bool {
        self == Self::Counted
    }
}

/// A token of a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) role: Role,
    /// The number of its word in the text.
    pub(super) word: usize,
    /// The bytes that it stands for, of the text in lower case.
    pub(super) range: Range<usize>,
}
