//! Splits a text into words, numbers and codes for the search.

use super::{
    scanner::{Scanner, Text},
    token::Placed,
};

/// The tokens of a text in order.
pub(super) fn tokens(text: &str) -> Vec<Placed> {
    let text = Text::of(text);
    let mut scanner = Scanner::new(&text);
    let mut at = 0;
    while at < scanner.words.len() {
        if at >= scanner.one_word_before {
            scanner.word += 1;
        }
        at = scanner.step(at, |scanner| {
            scanner.spaced_code(at);
            scanner.version(at);
            scanner.spaced_dimensions(at);
            scanner
                .unspaced(at)
                .or_else(|| scanner.address(at))
                .or_else(|| scanner.written_date(at))
                .or_else(|| scanner.article(at))
                .or_else(|| scanner.date(at))
                .or_else(|| scanner.telephone(at))
                .or_else(|| scanner.quantity(at))
                .or_else(|| scanner.compound(at))
                .unwrap_or_else(|| scanner.single(at))
        });
    }
    scanner.tokens
}
