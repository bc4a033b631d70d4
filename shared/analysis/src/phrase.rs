//! Exact phrases: the words of a text in this order with nothing but blanks and punctuation between them.
//!
//! A phrase is looked for in the texts themselves, because terms are stored without their places. Upper and lower case,
//! accents and other spellings of one letter are the same, as in the search; endings are not.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::LazyLock,
};

use super::{
    Guess,
    dates::month,
    elision::elided,
    language::Language,
    normal::{lower_case, normal, without_accents},
    quantities::unit_of,
    scripts::Script,
    stems::stem,
    terms,
    token::{Placed, Role, Token},
    tokens::tokens,
};

/// A phrase to look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Phrase {
    /// A regular expression for Postgres, which matches texts that have the phrase. It has no collation.
    pub pattern: String,
    /// Of each word that every passage with the phrase is found by: the terms of which such a passage has one.
    pub terms: Vec<Vec<String>>,
}

impl Phrase {
    /// The most words: Postgres refuses regular expressions that are too long.
    pub const MAX_WORDS: usize = 32;

    /// The phrase of a text; none if it has no letter and no digit.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let folded = folded(text);
        let words = words(&folded);
        let (first, last) = (&words.first()?.text, &words.last()?.text);
        let mut pattern = String::new();
        if !is_unspaced(first) {
            write!(pattern, "(?:^|[{}])", SEPARATORS.1).ok()?;
        }
        for (place, word) in words.iter().enumerate() {
            if place > 0 {
                let many = if is_unspaced(&word.text) { '*' } else { '+' };
                write!(pattern, "[{}]{many}", SEPARATORS.1).ok()?;
            }
            spell(&word.text, &mut pattern);
        }
        if !is_unspaced(last) {
            write!(pattern, "(?:$|[{}])", SEPARATORS.1).ok()?;
        }
        let terms = words.iter().filter_map(certain).collect();
        Some(Self { pattern, terms })
    }

    /// How many words the phrase has.
    #[must_use]
    pub fn words(text: &str) -> usize {
        words(&folded(text)).len()
    }
}

/// A word or more that no document may have.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Excluded {
    /// A word: the terms that passages with any form of it have.
    Terms(Vec<String>),
    /// Words joined by a hyphen, a code or a number: as it is written.
    Phrase(Phrase),
}

impl Excluded {
    /// What documents may not have, for a word of this question; none if it is a stop word or no word.
    #[must_use]
    pub fn of(word: &str, question: &str) -> Option<Self> {
        let (tokens, all) = (tokens(word), tokens(question));
        let asked: Vec<&Placed> = tokens
            .iter()
            .filter(|placed| {
                placed.role != Role::Indexed && !matches!(placed.token, Token::Elision(_))
            })
            .collect();
        if let [Placed { token, .. }] = asked[..] {
            let mut forms = Vec::new();
            terms(token, Guess::from_tokens(&all, question), &mut forms);
            return (!forms.is_empty()).then_some(Self::Terms(forms));
        }
        Phrase::of(word).map(Self::Phrase)
    }
}

/// The text with one form of each letter.
fn folded(text: &str) -> String {
    without_accents(&lower_case(&normal(text)))
}

/// A word of a phrase.
#[derive(Debug, Default)]
struct Word {
    text: String,
    /// Whether the text around it leaves it a word of its own: not that of `prud'hommes`, `a.b` or `x@y`.
    is_apart: bool,
}

/// What is between separators, with the signs of `C++`, `C#` and `.NET`.
fn words(folded: &str) -> Vec<Word> {
    let is_apart = |other: Option<char>| {
        other.is_none_or(|other| {
            other.is_whitespace() || matches!(other, ',' | ';' | '-' | '(' | ')' | '"' | '«' | '»')
        })
    };
    let mut words: Vec<Word> = Vec::new();
    let mut is_open = false;
    let mut before = None;
    let mut characters = folded.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        let is_sign = match character {
            '+' | '#' => is_open && next.is_none_or(|next| next == '+' || !next.is_alphanumeric()),
            '.' => !is_open && next.is_some_and(char::is_alphabetic),
            _ => false,
        };
        if is_sign || !is_separator(character) {
            if !is_open {
                let article = words.last().map_or("", |word| word.text.as_str());
                let is_elided = before == Some('\'') && elided(&format!("{article}'x")).is_some();
                words.push(Word {
                    text: String::new(),
                    is_apart: is_elided || is_apart(before),
                });
            }
            is_open = true;
            if let Some(word) = words.last_mut() {
                word.text.push(character);
                word.is_apart &= is_apart(next) || next.is_some_and(|next| !is_separator(next));
            }
        } else {
            is_open = false;
        }
        before = Some(character);
    }
    words.retain(|word| word.text.contains(char::is_alphanumeric));
    words
}

/// Writes an expression that matches every spelling of a word.
fn spell(word: &str, pattern: &mut String) {
    let mut rest = word.chars().peekable();
    while let Some(letter) = rest.next() {
        let pair = rest
            .peek()
            .and_then(|second| SPELLINGS.pairs.get(&(letter, *second)));
        if let Some(ligatures) = pair {
            pattern.push_str("(?:");
            spell_letter(letter, pattern);
            if let Some(second) = rest.next() {
                spell_letter(second, pattern);
            }
            pattern.push('|');
            class(ligatures, pattern);
            pattern.push(')');
        } else {
            spell_letter(letter, pattern);
        }
    }
}

fn spell_letter(letter: char, pattern: &mut String) {
    match SPELLINGS.letters.get(&letter) {
        Some(spellings) => class(spellings, pattern),
        None => class(&[letter], pattern),
    }
    if letter.is_alphabetic() {
        pattern.push_str(MARKS);
    }
}

/// Writes a class of characters.
fn class(characters: &[char], pattern: &mut String) {
    pattern.push('[');
    for character in characters {
        push(*character, pattern);
    }
    pattern.push(']');
}

/// Writes a character; all but letters and digits as their numbers, so that none has a meaning.
fn push(character: char, pattern: &mut String) {
    if character.is_alphanumeric() {
        pattern.push(character);
    } else {
        let _ = write!(pattern, "\\U{:08x}", u32::from(character));
    }
}

/// The terms of which every passage has one that has this word between blanks; none if there may be passages without.
///
/// A stop word is no term, and a unit, a month, a short word or a number may be a part of something longer.
fn certain(word: &Word) -> Option<Vec<String>> {
    let Word { text, is_apart } = word;
    let is_plain = text.chars().nth(2).is_some() && text.chars().all(char::is_alphabetic);
    if !is_apart
        || !is_plain
        || is_unspaced(text)
        || STOP_WORDS.contains(text)
        || unit_of(text).is_some()
        || month(text).is_some()
    {
        return None;
    }
    let mut terms: Vec<String> = Language::ALL
        .into_iter()
        .map(|language| stem(text, Some(language)))
        .chain([stem(text, None)])
        .collect();
    terms.sort_unstable();
    terms.dedup();
    Some(terms)
}

/// The stop words of every language, as [`folded`].
static STOP_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let lists = Language::ALL.map(Language::definition);
    let lists = lists.iter().flat_map(|of| [of.stop_words, of.frequent]);
    lists
        .flat_map(str::split_ascii_whitespace)
        .map(folded)
        .collect()
});

/// Whether the word is of a script without blanks.
fn is_unspaced(word: &str) -> bool {
    Script::of(word).is_some()
}

/// Combining and invisible marks, which may follow any letter.
const MARKS: &str = r"[\u00AD\u0300-\u036F\u0591-\u05BD\u05BF\u05C1\u05C2\u0610-\u061A\u0640\u064B-\u065F\u0670\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFE00-\uFE0F\uFEFF]*";

/// The ranges of characters that are between words, and the same for a regular expression.
static SEPARATORS: LazyLock<(Vec<(char, char)>, String)> = LazyLock::new(|| {
    // Alphabets are told apart by character; beyond them, whole blocks are punctuation and symbols.
    let mut ranges: Vec<(char, char)> = Vec::new();
    // U+0001 stays, so that texts may be joined by it.
    for character in ('\u{2}'..'\u{700}').filter(|character| {
        let is_mark = matches!(character, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}' | '\u{640}'..='\u{65f}');
        !character.is_alphanumeric() && !is_mark
    }) {
        match ranges.last_mut() {
            Some((_, last)) if u32::from(*last) + 1 == u32::from(character) => *last = character,
            _ => ranges.push((character, character)),
        }
    }
    ranges.extend([
        ('\u{964}', '\u{965}'),
        ('\u{e4f}', '\u{e4f}'),
        ('\u{2000}', '\u{206f}'),
        ('\u{20a0}', '\u{20cf}'),
        ('\u{2190}', '\u{245f}'),
        ('\u{2500}', '\u{2bff}'),
        ('\u{2e00}', '\u{2e7f}'),
        ('\u{3000}', '\u{3004}'),
        ('\u{3008}', '\u{3020}'),
        ('\u{30fb}', '\u{30fb}'),
        ('\u{fe10}', '\u{fe1f}'),
        ('\u{fe30}', '\u{fe6f}'),
        ('\u{feff}', '\u{ff0f}'),
        ('\u{ff1a}', '\u{ff20}'),
        ('\u{ff3b}', '\u{ff40}'),
        ('\u{ff5b}', '\u{ff65}'),
        ('\u{1f000}', '\u{1faff}'),
    ]);
    let mut class = String::new();
    for (first, last) in &ranges {
        push(*first, &mut class);
        if first != last {
            class.push('-');
            push(*last, &mut class);
        }
    }
    (ranges, class)
});

fn is_separator(character: char) -> bool {
    let ranges = &SEPARATORS.0;
    ranges
        .iter()
        .any(|(first, last)| (*first..=*last).contains(&character))
}

/// The characters whose form is one letter, or two.
struct Spellings {
    letters: HashMap<char, Vec<char>>,
    pairs: HashMap<(char, char), Vec<char>>,
}

/// Of the alphabets with capitals, accents, or letters by position, and of full-width letters.
static SPELLINGS: LazyLock<Spellings> = LazyLock::new(|| {
    let mut spellings = Spellings {
        letters: HashMap::new(),
        pairs: HashMap::new(),
    };
    let alphabets = [
        '0'..='z',
        'ª'..='ʯ',
        '\u{370}'..='\u{6ff}',
        '\u{1e00}'..='\u{1fff}',
        '\u{2070}'..='\u{209c}',
        '\u{fb00}'..='\u{fdff}',
        '\u{fe70}'..='\u{fefc}',
        '\u{ff10}'..='\u{ff5a}',
    ];
    for character in alphabets.into_iter().flatten() {
        if !character.is_alphanumeric() {
            continue;
        }
        let form = folded(character.encode_utf8(&mut [0; 4]));
        match form.chars().collect::<Vec<_>>()[..] {
            [one] => spellings.letters.entry(one).or_default().push(character),
            [one, two] => spellings
                .pairs
                .entry((one, two))
                .or_default()
                .push(character),
            _ => {}
        }
    }
    spellings
});

#[cfg(test)]
mod tests;
