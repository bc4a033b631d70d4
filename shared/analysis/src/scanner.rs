//! Walks over the words of a text and joins those that belong together.

use std::ops::Range;

use super::{
    elision::{bare, elided},
    language::Languages,
    normal::{lower_case, normal, without_accents},
    numbers::{has_digit, words},
    scripts::{Script, segments},
    token::{Placed, Role, Token},
};

/// A text in lower case, and the ranges of its words.
pub(super) struct Text {
    lower: String,
    words: Vec<Word>,
}

/// A word of UAX 29.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    pub(super) start: usize,
    pub(super) end: usize,
    /// All letters are capitals.
    pub(super) upper: bool,
    /// At least two, all capitals.
    pub(super) capitals: bool,
    /// At least one letter is a capital.
    pub(super) cased: bool,
}

impl Text {
    pub(super) fn of(text: &str) -> Self {
        let cased = normal(text);
        let mut this = Self {
            lower: String::with_capacity(cased.len()),
            words: Vec::with_capacity(cased.len() / 6),
        };
        let mut read = 0;
        for (start, word) in words(&cased) {
            this.lower.push_str(&cased[read..start]);
            let start_of_lower = this.lower.len();
            if word.bytes().all(|byte| byte.is_ascii_lowercase()) {
                this.lower.push_str(word);
            } else {
                this.lower.push_str(&lower_case(word));
            }
            read = start + word.len();
            let capitals = capitals(word);
            this.words.push(Word {
                start: start_of_lower,
                end: this.lower.len(),
                upper: capitals > 0,
                capitals: capitals > 1,
                cased: word.contains(char::is_uppercase),
            });
        }
        this.lower.push_str(&cased[read..]);
        this.calm();
        this
    }

    /// Ignores the capitals of lines in capitals, which cannot tell acronyms from words.
    fn calm(&mut self) {
        let mut first = 0;
        while first < self.words.len() {
            let gap = |last: usize| &self.lower[self.words[last].end..self.words[last + 1].start];
            let mut last = first;
            while last + 1 < self.words.len() && !gap(last).contains('\n') {
                last += 1;
            }
            let line = &self.words[first..=last];
            let capitals = || line.iter().filter(|word| word.capitals);
            let is_stop_word =
                |word: &&Word| Languages::has_stop_word(&self.lower[word.start..word.end]);
            let is_in_capitals = capitals().count() * 3 > line.len() * 2;
            if is_in_capitals && capitals().filter(is_stop_word).count() > 1 {
                self.words[first..=last].iter_mut().for_each(|word| {
                    (word.upper, word.capitals, word.cased) = (false, false, false);
                });
            }
            first = last + 1;
        }
    }
}

/// The number of capitals in a word without lower case; in the longest part if apostrophes divide it.
fn capitals(word: &str) -> usize {
    let word = word
        .split('\'')
        .max_by_key(|part| part.len())
        .unwrap_or(word);
    if word.chars().any(char::is_lowercase) {
        return 0;
    }
    word.chars()
        .filter(|character| character.is_uppercase())
        .count()
}

/// Walks over the words of a text and joins those that belong together.
///
/// Each step takes a word's number; if something starts there, the step pushes its tokens and returns the number of the
/// word after it.
pub(super) struct Scanner<'t> {
    pub(super) text: &'t str,
    pub(super) words: &'t [Word],
    pub(super) tokens: Vec<Placed>,
    /// The word that pushed tokens belong to.
    pub(super) word: usize,
    /// No address before this byte.
    pub(super) no_address_before: usize,
    /// Before this word there are no further groups of one number.
    pub(super) no_number_before: usize,
    /// Words before this one belong to one written with blanks.
    pub(super) one_word_before: usize,
    /// The bytes that pushed tokens stand for; empty for those of the step.
    range: Range<usize>,
    /// The word where the step begins.
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t Text) -> Self {
        Self {
            text: &text.lower,
            words: &text.words,
            tokens: Vec::with_capacity(text.words.len() + text.words.len() / 4),
            word: 0,
            no_address_before: 0,
            no_number_before: 0,
            one_word_before: 0,
            range: 0..0,
            at: 0,
        }
    }

    /// A run of letters of a script without blanks between words.
    pub(super) fn unspaced(&mut self, at: usize) -> Option<usize> {
        let script = Script::of(self.word(at))?;
        let mut end = at;
        while end + 1 < self.words.len()
            && self.gap(end).is_empty()
            && Script::of(self.word(end + 1)) == Some(script)
        {
            end += 1;
        }
        let start = self.words[at].start;
        for (segment, role, range) in segments(self.slice(at, end), script) {
            self.word += 1;
            self.range = start + range.start..start + range.end;
            self.push_text(role, &segment);
        }
        self.range = 0..0;
        Some(end + 1)
    }

    /// Takes a step at a word, and gives the tokens that it pushes the text that it went over.
    pub(super) fn step(&mut self, at: usize, step: impl FnOnce(&mut Self) -> usize) -> usize {
        self.at = at;
        let from = self.tokens.len();
        let next = step(self);
        let range = self.words[at].start..self.words[next - 1].end;
        let unplaced = self.tokens[from..]
            .iter_mut()
            .filter(|token| token.range.is_empty());
        unplaced.for_each(|token| token.range = range.clone());
        next
    }

    /// A single word.
    pub(super) fn single(&mut self, at: usize) -> usize {
        let word = self.word(at);
        if let Some(next) = self.signed(at) {
            return next;
        }
        if has_digit(word) {
            self.code(word);
        } else {
            self.push_word(word, self.words[at].capitals);
        }
        at + 1
    }

    /// `C++`, `C#`, `.NET`, `Canal+`: a word with a sign.
    fn signed(&mut self, at: usize) -> Option<usize> {
        let (word, after) = (self.word(at), &self.text[self.words[at].end..]);
        if has_digit(word) || word.contains('\'') {
            return None;
        }
        let is_followed = |signs: usize| {
            after[signs..].starts_with(|next: char| next.is_alphanumeric() || next == '+')
        };
        let sign = match after.as_bytes() {
            [b'+', b'+', ..] if !after[2..].starts_with('+') => "++",
            [b'+', ..] if !is_followed(1) => "+",
            [b'#', ..] if word.len() < 3 && !is_followed(1) => "#",
            _ => "",
        };
        let before = self.text[..self.words[at].start].strip_suffix('.');
        let is_dotted = before.is_some_and(|before| {
            before.is_empty()
                || before.ends_with(|last: char| {
                    last.is_whitespace() || matches!(last, '(' | '"' | '«' | '[')
                })
        });
        if sign.is_empty() && !is_dotted {
            return None;
        }
        let dot = if is_dotted { "." } else { "" };
        let signed = format!("{dot}{}{sign}", without_accents(word));
        let Word { start, end, .. } = self.words[at];
        self.range = start - dot.len()..end + sign.len();
        self.push_code(Role::Counted, signed);
        self.range = 0..0;
        if word.chars().nth(1).is_some() {
            // Indexed without its sign too, for questions that omit it.
            self.push_text(Role::Indexed, word);
        }
        Some(at + 1)
    }

    /// A word of letters, possibly with apostrophes and dots inside.
    pub(super) fn push_word(&mut self, word: &str, capitals: bool) {
        let mut rest = word;
        while let Some((article, noun)) = elided(rest) {
            self.push(Role::Counted, Token::Elision(article.to_owned()));
            rest = noun;
        }
        let word = bare(rest);
        let is_single = |part: &str| part.chars().nth(1).is_none();
        let parts: Vec<&str> = word
            .split(['.', '·', ':', '_'])
            .filter(|part| !part.is_empty())
            .collect();
        if let [word] = parts[..] {
            self.push_letters(Role::Counted, word, capitals);
        } else if parts.iter().all(|part| is_single(part)) {
            // An acronym: S.A.R.L.
            self.push_letters(Role::Counted, &parts.concat(), true);
        } else if word.contains(['·', ':']) || parts.iter().any(|part| is_single(part)) {
            // The endings of inclusive spelling: salarié·e·s.
            let parts = parts.iter().filter(|part| !is_single(part));
            parts.for_each(|part| self.push_letters(Role::Counted, part, false));
        } else {
            self.dotted(&parts);
        }
    }

    pub(super) fn push_text(&mut self, role: Role, word: &str) {
        self.push_letters(role, word, false);
    }

    fn push_letters(&mut self, role: Role, word: &str, acronym: bool) {
        if !word.is_empty() {
            let text = word.to_owned();
            self.push(role, Token::Word { text, acronym });
        }
    }

    pub(super) fn push_code(&mut self, role: Role, code: String) {
        if !code.is_empty() {
            self.push(role, Token::Code(code));
        }
    }

    /// A form of several words as one.
    pub(super) fn push_spaced(&mut self, end: usize, code: String) {
        self.one_word_before = end + 1;
        self.range = self.words[self.at].start..self.words[end].end;
        self.push_code(Role::Form, code);
        self.range = 0..0;
    }

    /// Whether a word is within one written with blanks.
    pub(super) fn is_inside(&self, at: usize) -> bool {
        at < self.one_word_before
    }

    fn push(&mut self, role: Role, token: Token) {
        let word = self.word;
        let range = self.range.clone();
        self.tokens.push(Placed {
            token,
            role,
            word,
            range,
        });
    }

    /// A word in lower case.
    pub(super) fn word(&self, at: usize) -> &'t str {
        self.slice(at, at)
    }

    /// The next word, if the text between matches.
    pub(super) fn next_after(&self, at: usize, gap: impl Fn(&str) -> bool) -> Option<&'t str> {
        (at + 1 < self.words.len() && gap(self.gap(at))).then(|| self.word(at + 1))
    }

    /// The text between a word and the next.
    pub(super) fn gap(&self, at: usize) -> &'t str {
        &self.text[self.words[at].end..self.words[at + 1].start]
    }

    /// The text from one word's start to another's end.
    pub(super) fn slice(&self, first: usize, last: usize) -> &'t str {
        &self.text[self.words[first].start..self.words[last].end]
    }

    /// The text before a word.
    pub(super) fn before(&self, at: usize) -> &'t str {
        &self.text[..self.words[at].start]
    }
}
