//! The numbers of articles of French law.

use super::{numbers::is_number, scanner::Scanner, token::Role};

/// The letters before the article numbers of French codes: law, decree in the Council of State, decree, order,
/// institutional act.
const ARTICLE_LETTERS: [&str; 5] = ["a", "d", "l", "lo", "r"];

impl Scanner<'_> {
    /// `L. 110-1`, `R*123-4`, `art.L.110-1`: one token, with any spaces and dots.
    ///
    /// A letter before a space and a number without a hyphen does not count (`vitamine D 400 mg`), nor does `a`, a
    /// French word.
    pub(super) fn article(&mut self, at: usize) -> Option<usize> {
        let is_mark = |character| matches!(character, '.' | '*' | ' ' | '\n');
        let is_gap = |gap: &str| (1..=4).contains(&gap.len()) && gap.chars().all(is_mark);
        let next = at + 1;
        if !self.next_after(at, is_gap).is_some_and(is_number) {
            return None;
        }
        let word = self.word(at);
        let (before, letter) = match word.rsplit_once('.') {
            Some(("l", "o")) => ("", "lo"),
            Some((before, letter)) => (before, letter),
            None => ("", word),
        };
        let end = self.end_of_hyphenated(next);
        let marked = self.gap(at).contains(['.', '*']);
        let hyphenated = end > next;
        let plausible = (marked && hyphenated) || (letter != "a" && (marked || hyphenated));
        if !ARTICLE_LETTERS.contains(&letter) || !plausible || !self.are_numbers(next, end) {
            return None;
        }
        self.push_word(before, false);
        self.push_article(letter, self.slice(next, end));
        Some(end + 1)
    }

    /// `l110-1`: whether these words form an article.
    pub(super) fn hyphenated_article(&mut self, at: usize, end: usize) -> bool {
        let first = self.word(at);
        let letter = ARTICLE_LETTERS
            .iter()
            .find(|letter| first.strip_prefix(**letter).is_some_and(is_number));
        let Some(letter) = letter.filter(|_| self.are_numbers(at + 1, end)) else {
            return false;
        };
        self.push_article(letter, &self.slice(at, end)[letter.len()..]);
        true
    }

    /// People omit the letter of an article, but passages include it.
    fn push_article(&mut self, letter: &str, number: &str) {
        self.push_code(Role::Counted, format!("{letter}{number}"));
        if number.contains('-') {
            self.push_code(Role::Indexed, number.to_owned());
        }
    }
}
