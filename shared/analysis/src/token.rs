//! What a text is searched by.

/// One occurrence of something to search by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Letters, in lower case and with their accents: a stem, or nothing if it is a stop word and no acronym.
    Word {
        /// The letters.
        text: String,
        /// Whether it was written in capitals, among words that are not.
        acronym: bool,
    },
    /// What is searched as it stands: `1.5`, `covid19`, `l110-1`, `c++`.
    Code(String),
    /// What French or Italian elides before an apostrophe: it is no term, only tells the language.
    Elision(String),
}

/// Where a token is looked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    /// In passages, whose length it adds to, and by questions.
    Counted,
    /// Another form of what is counted, in passages and by questions.
    Form,
    /// Another form, in passages alone: questions need not ask for it.
    Indexed,
    /// Another form, by questions alone.
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
    /// The number of the word in the text that it is a form of.
    pub(super) word: usize,
}
