//! The numbers of articles of French law.

use super::{numbers::is_number, scanner::Scanner, token::Role};

/// The letters before the number of an article of a French code: law, decree in the Council of
/// State, decree, order, institutional act.
const ARTICLE_LETTERS: [&str; 5] = ["a", "d", "l", "lo", "r"];

impl Scanner<'_> {
    /// `L. 110-1`, `R*123-4`, `art.L.110-1`: one token, however it is spaced and dotted.
    ///
    /// A letter that is only spaced from a number without a hyphen is none (`vitamine D 400 mg`),
    /// nor is `a`, which is a French word.
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

    /// `l110-1`: whether these words are the parts of an article.
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

    /// People leave out the letter of an article, which passages name with it.
    fn push_article(&mut self, letter: &str, number: &str) {
        self.push_code(Role::Counted, format!("{letter}{number}"));
        if number.contains('-') {
            self.push_code(Role::Indexed, number.to_owned());
        }
    }
}
