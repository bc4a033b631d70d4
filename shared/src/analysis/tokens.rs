//! A text to the words, numbers and references that it is searched by.

use super::{
    normal::{lower_case, without_accents},
    numbers::{has_digit, is_number, number, words},
};

/// One occurrence of something to search by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Token {
    /// Letters, in lower case and with their accents: it may be a stop word and has a stem.
    Word(String),
    /// Something with a digit, which is searched as it stands: `1.5`, `covid-19`, `l110-1`.
    Code(String),
    /// What French elides before an apostrophe: it is no term, only tells the language.
    Elision,
}

/// What French elides, as it stands before the apostrophe.
const ELISIONS: [&str; 14] = [
    "c", "d", "j", "jusqu", "l", "lorsqu", "m", "n", "puisqu", "qu", "quelqu", "quoiqu", "s", "t",
];

/// What English contracts or adds, as it stands after the apostrophe.
const CONTRACTIONS: [&str; 6] = ["d", "ll", "m", "re", "s", "ve"];

/// The letters before the number of an article of a French code: law, decree in the Council of
/// State, decree, order, institutional act.
pub(super) const ARTICLE_LETTERS: [&str; 5] = ["a", "d", "l", "lo", "r"];

/// The tokens of a text in their order.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let text = lower_case(text);
    let mut scanner = Scanner {
        text: &text,
        words: words(&text),
        tokens: Vec::new(),
    };
    let mut at = 0;
    while at < scanner.words.len() {
        at = scanner
            .article(at)
            .or_else(|| scanner.compound(at))
            .or_else(|| scanner.thousands(at))
            .unwrap_or_else(|| scanner.single(at));
    }
    scanner.tokens
}

/// Walks over the words of UAX 29 and puts those together that belong together.
///
/// Each of its steps takes the number of a word; if something starts there, the step pushes its
/// tokens and returns the number of the word after it.
struct Scanner<'t> {
    text: &'t str,
    words: Vec<(usize, &'t str)>,
    tokens: Vec<Token>,
}

impl<'t> Scanner<'t> {
    /// `L. 110-1`, `R*123-4`, `art.L.110-1`: one token, however it is spaced and dotted.
    ///
    /// A letter that is only spaced from a number without a hyphen is none (`vitamine D 400 mg`),
    /// nor is `a`, which is a French word.
    fn article(&mut self, at: usize) -> Option<usize> {
        let next = at + 1;
        if next == self.words.len() || !is_number(self.words[next].1) {
            return None;
        }
        let gap = self.gap(at);
        let is_mark = |character| matches!(character, '.' | '*' | ' ' | '\n');
        if !(1..=4).contains(&gap.len()) || !gap.chars().all(is_mark) {
            return None;
        }
        let word = self.words[at].1;
        let (before, letter) = match word.rsplit_once('.') {
            Some(("l", "o")) => ("", "lo"),
            Some((before, letter)) => (before, letter),
            None => ("", word),
        };
        let end = self.end_of_hyphenated(next);
        let marked = gap.contains(['.', '*']);
        let hyphenated = end > next;
        let plausible = (marked && hyphenated) || (letter != "a" && (marked || hyphenated));
        if !ARTICLE_LETTERS.contains(&letter) || !plausible || !self.are_numbers(next, end) {
            return None;
        }
        self.push_word(before);
        let number = self.slice(next, end);
        self.tokens.push(Token::Code(format!("{letter}{number}")));
        Some(end + 1)
    }

    /// `covid-19`, `1914-1918`, `l110-1`: hyphens with a digit about. The whole and its parts are
    /// searched, except those of an article, which mean nothing alone.
    fn compound(&mut self, at: usize) -> Option<usize> {
        let end = self.end_of_hyphenated(at);
        if end == at || !(at..=end).any(|part| has_digit(self.words[part].1)) {
            return None;
        }
        let whole = without_accents(self.slice(at, end));
        let first = self.words[at].1;
        let is_article = ARTICLE_LETTERS
            .iter()
            .any(|letter| first.strip_prefix(letter).is_some_and(is_number))
            && self.are_numbers(at + 1, end);
        self.tokens.push(Token::Code(whole));
        if !is_article {
            for part in at..=end {
                // A single letter or digit of it is found everywhere.
                if self.words[part].1.chars().nth(1).is_some() {
                    self.single(part);
                }
            }
        }
        Some(end + 1)
    }

    /// `12 000`: the groups of a number.
    fn thousands(&mut self, at: usize) -> Option<usize> {
        let first = self.words[at].1;
        if !is_number(first) || first.len() > 3 || first.starts_with('0') {
            return None;
        }
        let is_group = |word: &str| word.len() == 3 && is_number(word);
        let mut end = at;
        while end + 1 < self.words.len() && self.gap(end) == " " && is_group(self.words[end + 1].1)
        {
            end += 1;
        }
        if end == at || self.end_of_hyphenated(end) > end {
            return None;
        }
        let number = self.slice(at, end).replace(' ', "");
        self.tokens.push(Token::Code(number));
        Some(end + 1)
    }

    /// What stands alone.
    fn single(&mut self, at: usize) -> usize {
        let word = self.words[at].1;
        if word.starts_with(|character: char| character.is_ascii_digit()) {
            let number = without_accents(&number(word));
            self.tokens.push(Token::Code(number));
        } else {
            self.push_word(word);
        }
        at + 1
    }

    /// A word of letters, perhaps with apostrophes and dots inside.
    fn push_word(&mut self, mut word: &str) {
        while let Some((elided, rest)) = word.split_once('\'')
            && ELISIONS.contains(&elided)
        {
            self.tokens.push(Token::Elision);
            word = rest;
        }
        if let Some((contracted, ending)) = word.rsplit_once('\'')
            && CONTRACTIONS.contains(&ending)
        {
            word = contracted;
        }
        // Other apostrophes belong to the word: aujourd'hui, prud'homme.
        let word = word.replace('\'', "");
        let is_single = |part: &&str| part.chars().nth(1).is_none();
        let parts: Vec<&str> = word
            .split(['.', '·', ':', '_'])
            .filter(|part| !part.is_empty())
            .collect();
        if parts.iter().all(is_single) {
            // An acronym: S.A.R.L.
            self.push_letters(&parts.concat());
        } else {
            // An address, or the endings of inclusive spelling: salarié·e·s.
            let parts = parts.iter().filter(|part| !is_single(part));
            parts.for_each(|part| self.push_letters(part));
        }
    }

    fn push_letters(&mut self, word: &str) {
        if has_digit(word) {
            self.tokens.push(Token::Code(without_accents(word)));
        } else if !word.is_empty() {
            self.tokens.push(Token::Word(word.to_owned()));
        }
    }

    /// The last word of those that single hyphens join to this one.
    fn end_of_hyphenated(&self, at: usize) -> usize {
        let mut end = at;
        while end + 1 < self.words.len() && self.gap(end) == "-" {
            end += 1;
        }
        end
    }

    fn are_numbers(&self, first: usize, last: usize) -> bool {
        self.words[first..=last]
            .iter()
            .all(|(_, word)| is_number(word))
    }

    /// What stands between a word and the next.
    fn gap(&self, at: usize) -> &'t str {
        let (start, word) = self.words[at];
        &self.text[start + word.len()..self.words[at + 1].0]
    }

    /// The text from the start of a word to the end of another.
    fn slice(&self, first: usize, last: usize) -> &'t str {
        let (start, word) = self.words[last];
        &self.text[self.words[first].0..start + word.len()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens' texts, with `'` for an elision.
    fn texts(text: &str) -> Vec<String> {
        let text_of = |token| match token {
            Token::Word(text) | Token::Code(text) => text,
            Token::Elision => "'".to_owned(),
        };
        tokens(text).into_iter().map(text_of).collect()
    }

    #[test]
    fn words_are_split_as_readers_would() {
        for (text, expected) in [
            ("L’employé d'aujourd’hui", "' employé ' aujourdhui"),
            ("jusqu'à lorsqu’il", "' à ' il"),
            ("prud'homme", "prudhomme"),
            ("Parkinson’s, they'll", "parkinson they"),
            ("arc-en-ciel", "arc en ciel"),
            ("S.A.R.L. et U.S.A", "sarl et usa"),
            ("salarié·e·s salarié.e.s", "salarié salarié"),
            ("www.service-public.fr", "www service public fr"),
            ("e\u{301}te\u{301} ﬁn Œuvre", "été fin oeuvre"),
            ("em\u{ad}ployeur", "employeur"),
            ("nom_de_champ", "nom de champ"),
        ] {
            assert_eq!(texts(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn an_article_has_one_spelling() {
        for text in [
            "L110-1",
            "L. 110-1",
            "L 110-1",
            "L.110-1",
            "l110-1",
            "L.\u{a0}110-1",
            "L.110‑1",
            "L110–1",
            "L.\n110-1",
        ] {
            assert_eq!(texts(text), ["l110-1"], "{text}");
        }
        for (text, expected) in [
            ("art. L.110-1", "art l110-1"),
            ("art.L.110-1", "art l110-1"),
            ("R*123-4, R.* 123-4", "r123-4 r123-4"),
            ("D. 8222-5-1", "d8222-5-1"),
            ("L.O. 141 LO 141-1", "lo141 lo141-1"),
            ("L. 1", "l1"),
            ("A. 123-4", "a123-4"),
            ("L110-1 à 110-4", "l110-1 à 110-4 110"),
            ("A4 B12", "a4 b12"),
            ("vitamine D 400 mg", "vitamine d 400 mg"),
        ] {
            assert_eq!(texts(text).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn numbers_and_codes_stay_whole() {
        for (text, expected) in [
            ("covid-19", "covid-19 covid 19"),
            ("Télé-2000", "tele-2000 télé 2000"),
            ("1914–1918", "1914-1918 1914 1918"),
            ("3.14 1,5 2.0.1", "3.14 1.5 2.0.1"),
            ("12 000 € 1\u{a0}234\u{202f}567", "12000 1234567"),
            ("12,000 12.000", "12000 12000"),
            ("en 2003 100 000 personnes", "en 2003 100000 personnes"),
            ("8,8-1,9", "8 8-1 9"),
            ("142,143,1145", "142 143 1145"),
            ("50 % de m²", "50 de m2"),
            ("1° 2e 14h30", "1 2e 14h30"),
            ("n° 2019-486", "n 2019-486 2019 486"),
        ] {
            assert_eq!(texts(text).join(" "), expected, "{text}");
        }
    }
}
