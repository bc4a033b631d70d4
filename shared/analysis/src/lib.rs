//! Terms of texts for BM25.
//!
//! Passages and questions are analysed in their own language. If the language is unclear, words are stemmed by each
//! candidate, so that the two match. What has several spellings, such as a telephone number or a file's name, is
//! indexed in all forms that a question may use, so that a question asks for few.

mod addresses;
mod articles;
mod beginning;
mod code_parts;
mod codes;
mod dates;
mod dimensions;
mod elision;
mod guess;
mod highlight;
mod language;
mod languages;
mod normal;
mod numbers;
mod phrase;
mod quantities;
mod scanner;
mod scripts;
mod stems;
mod telephones;
mod token;
mod tokens;
mod votes;

use std::collections::BTreeMap;

use normal::{lower_case, normal, without_accents};
use stems::stem;

pub use beginning::beginning;
pub use highlight::highlights;
pub use language::{Candidates, Guess, Language};
pub use phrase::{Excluded, Phrase};

use self::{
    token::{Placed, Role, Token},
    tokens::tokens,
};

/// The version of this analysis. Terms are stored, and passages of another version must be analysed again, so it
/// changes whenever the terms of any text do.
pub const VERSION: u32 = 3;

/// Maximum characters of a term: a longer one, such as an address or encoded data, ends in a hash of the whole.
pub const MAX_TERM_CHARACTERS: usize = 64;

/// Up to this many words of a question, neighbours are also looked up as one word. In sentences, that found less in our
/// measurements: rare texts with the joined spelling outranked better ones.
const FEW_WORDS: usize = 3;

/// The terms of a passage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// The distinct terms in byte order, each with its number of occurrences, capped at [`i16::MAX`], the maximum of
    /// Postgres' `smallint`.
    pub frequencies: Vec<(String, i16)>,
    /// The number of occurrences of all words; all forms of a word count once.
    pub length: i32,
}

/// The terms of a passage and of its document's title; `document` is the language guess for the whole document.
///
/// The title counts in every passage: without it, BM25 found much less in our measurements.
#[must_use]
pub fn passage(title: &str, content: &str, document: Guess) -> Terms {
    let (title, text) = (tokens(title), tokens(content));
    let guess = Guess::from_tokens(&text, content).with(document);
    let mut frequencies: BTreeMap<String, i16> = BTreeMap::new();
    let mut length = 0_i32;
    for tokens in [&title, &text] {
        for word in words(tokens) {
            let mut forms = Vec::new();
            for placed in word.iter().filter(|placed| placed.role != Role::Asked) {
                let found = forms.len();
                terms(&placed.token, guess, &mut forms);
                length = length
                    .saturating_add(i32::from(placed.role.is_counted() && forms.len() > found));
            }
            forms.sort_unstable();
            forms.dedup();
            for form in forms {
                let frequency = frequencies.entry(form).or_default();
                *frequency = frequency.saturating_add(1);
            }
        }
    }
    Terms {
        frequencies: frequencies.into_iter().collect(),
        length,
    }
}

/// A word in lower case without accents, in one spelling for several of Unicode.
#[must_use]
pub fn bare(word: &str) -> String {
    without_accents(&lower_case(&normal(word)))
}

/// A term of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryTerm {
    /// As passages have it.
    pub term: String,
    /// The number of its word in the question; a passage needs one of a word's terms.
    pub word: i32,
    /// The number of the piece of its word: terms of one piece are its stems, of which a passage has one.
    pub piece: i32,
}

/// The distinct terms of a question in byte order. A question of only stop words and punctuation has none.
#[must_use]
pub fn query_terms(text: &str) -> Vec<QueryTerm> {
    let mut terms: BTreeMap<String, (i32, i32)> = BTreeMap::new();
    for (word, forms) in (0..).zip(query_words(text)) {
        for (form, piece) in forms {
            terms.entry(form).or_insert((word, piece));
        }
    }
    let terms = terms.into_iter();
    terms
        .map(|(term, (word, piece))| QueryTerm { term, word, piece })
        .collect()
}

/// The words of a question in order, each with its terms and the numbers of the pieces that these stand for.
fn query_words(text: &str) -> Vec<Vec<(String, i32)>> {
    let tokens = tokens(text);
    let guess = Guess::from_tokens(&tokens, text);
    let joins = words(&tokens).count() <= FEW_WORDS;
    let mut piece = 0;
    let mut stems = |token: &Token| {
        let mut stems = Vec::new();
        terms(token, guess, &mut stems);
        piece += 1;
        stems.into_iter().map(move |stem| (stem, piece))
    };
    let mut asked: Vec<Vec<(String, i32)>> = Vec::new();
    // The previous word, if it may be the first half of a longer one.
    let mut before: Option<(usize, &str)> = None;
    for word in words(&tokens) {
        let mut forms = Vec::new();
        for placed in word.iter().filter(|placed| placed.role != Role::Indexed) {
            forms.extend(stems(&placed.token));
        }
        let this = half(word).filter(|_| joins && !forms.is_empty());
        if let (Some((place, first)), Some((second, number))) = (before, this)
            && let Some(previous) = asked.last_mut()
            && place + 1 == number
        {
            previous.extend(stems(&Token::Word {
                text: format!("{first}{second}"),
                acronym: false,
            }));
        }
        before = this.map(|(text, number)| (number, text));
        if !forms.is_empty() {
            asked.push(forms);
        }
    }
    for forms in &mut asked {
        forms.sort_unstable();
        forms.dedup_by(|one, other| one.0 == other.0);
    }
    asked
}

/// The tokens of each word.
fn words(tokens: &[Placed]) -> impl Iterator<Item = &[Placed]> {
    tokens.chunk_by(|one, other| one.word == other.word)
}

/// A word, with its number, that may be half of a compound: `week end`.
fn half(word: &[Placed]) -> Option<(&str, usize)> {
    match word {
        [
            Placed {
                token:
                    Token::Word {
                        text,
                        acronym: false,
                    },
                role: Role::Counted,
                word,
                ..
            },
        ] if text.len() > 1 => Some((text, *word)),
        _ => None,
    }
}

/// Adds the terms of a token; none for a stop word, or accents without a letter.
fn terms(token: &Token, guess: Guess, terms: &mut Vec<String>) {
    let mut add = |term: String| {
        // In the database, the empty term matches any.
        if !term.is_empty() {
            terms.push(cut(term));
        }
    };
    match token {
        Token::Elision(_) => {}
        Token::Code(code) => add(without_accents(code)),
        Token::Word { text, acronym } if guess.is_stop_word(text) => {
            if *acronym {
                add(without_accents(text));
            }
        }
        Token::Word { text, .. } => match guess {
            Guess::Sure(language) => add(stem(text, Some(language))),
            // None of Rappel's languages uses other letters.
            _ if !text.starts_with(|first| first < '\u{370}') => add(stem(text, None)),
            Guess::Other => add(stem(text, None)),
            Guess::Unsure(_) => {
                let bare = stem(text, None);
                let mut stems: Vec<String> = guess
                    .languages()
                    .iter()
                    .map(|language| stem(text, Some(language)))
                    .collect();
                stems.push(bare);
                stems.sort_unstable();
                stems.dedup();
                stems.into_iter().for_each(add);
            }
        },
    }
}

/// The term; if too long, its beginning and a hash of the whole (64-bit FNV-1a).
fn cut(term: String) -> String {
    if term.len() <= MAX_TERM_CHARACTERS || term.chars().nth(MAX_TERM_CHARACTERS).is_none() {
        return term;
    }
    let hash = term.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let beginning: String = term.chars().take(MAX_TERM_CHARACTERS - 17).collect();
    format!("{beginning}~{hash:016x}")
}

#[cfg(test)]
mod tests;
