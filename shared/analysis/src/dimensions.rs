//! Dimensions, and versions named by a word.

use super::{
    numbers::{is_number, number},
    quantities::unit_of,
    scanner::Scanner,
    token::Role,
};

/// Words before the number of a version, in the languages of the stemmers.
const VERSIONS: [&str; 7] = [
    "v", "ver", "version", "versione", "versión", "versão", "versie",
];

impl Scanner<'_> {
    /// `60 x 40`, `60 × 40 × 20`: searched as `60x40` as well.
    pub(super) fn spaced_dimensions(&mut self, at: usize) {
        if self.is_inside(at) || !is_length(self.word(at)) {
            return;
        }
        let mut key = number(self.word(at));
        let mut end = at;
        while let Some(next) = self.after_times(end) {
            key.push('x');
            key.push_str(&number(self.word(next)));
            end = next;
        }
        if end > at {
            self.push_spaced(end, key);
        }
    }

    /// The number after a sign of multiplication or the letter for it.
    fn after_times(&self, at: usize) -> Option<usize> {
        let sign = self.next_after(at, |gap| matches!(gap, "×" | " × " | "*" | " * "));
        if sign.is_some_and(is_length) {
            return Some(at + 1);
        }
        let is_letter = self.next_after(at, |gap| gap == " ") == Some("x");
        let next = self
            .next_after(at + 1, |gap| gap == " ")
            .filter(|_| is_letter)?;
        is_length(next).then_some(at + 2)
    }

    /// `60x40`, `60x40cm`; returns whether it is one.
    pub(super) fn glued_dimensions(&mut self, word: &str) -> bool {
        let lengths: Vec<&str> = word.split('x').collect();
        let Some((last, before)) = lengths
            .split_last()
            .filter(|(_, before)| !before.is_empty())
        else {
            return false;
        };
        let letters = last.find(char::is_alphabetic).unwrap_or(last.len());
        let (last, unit) = last.split_at(letters);
        // `0x1a` is a number in hexadecimal digits.
        if before[0] == "0"
            || !before.iter().all(|length| is_length(length))
            || !is_length(last)
            || !(unit.is_empty() || unit_of(unit).is_some())
        {
            return false;
        }
        let lengths: Vec<String> = before.iter().chain([&last]).map(|it| number(it)).collect();
        self.push_code(Role::Counted, lengths.join("x"));
        for length in lengths {
            self.push_code(Role::Indexed, length);
        }
        true
    }

    /// `version 2`, `v. 2`: found as `v2` as well.
    pub(super) fn version(&mut self, at: usize) {
        if !VERSIONS.contains(&self.word(at)) {
            return;
        }
        let number = self.next_after(at, |gap| matches!(gap, " " | ". " | "."));
        if let Some(number) = number.filter(|number| is_number(number) && number.len() < 4) {
            self.push_code(Role::Form, format!("v{number}"));
        }
    }
}

/// A number with at most one decimal sign.
fn is_length(word: &str) -> bool {
    let (whole, fraction) = word.split_once([',', '.']).unwrap_or((word, "0"));
    is_number(whole) && is_number(fraction)
}
