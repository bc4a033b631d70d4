//! What is a number, and where it ends.

use unicode_segmentation::UnicodeSegmentation;

/// The words of UAX 29, but lists of numbers without spaces as their numbers: `8,8-1,9`.
pub(super) fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    for (start, word) in text.unicode_word_indices() {
        let hyphenated =
            text[..start].ends_with('-') || text[start + word.len()..].starts_with('-');
        let commas = word.matches(',').count();
        if (commas > 0 && hyphenated) || (commas > 1 && !is_grouped(word)) {
            let mut at = start;
            for part in word.split(',') {
                words.push((at, part));
                at += part.len() + 1;
            }
        } else {
            words.push((start, word));
        }
    }
    words
}

/// One spelling of a number: `1,5` is `1.5`, `12,000` and `12.000` are `12000`.
pub(super) fn number(word: &str) -> String {
    if is_grouped(word) {
        word.replace([',', '.'], "")
    } else {
        word.replace(',', ".").replace('\'', "")
    }
}

/// Whether commas or dots only group the digits of a number by thousands.
pub(super) fn is_grouped(word: &str) -> bool {
    let mut groups = word.split([',', '.']);
    groups
        .next()
        .is_some_and(|first| is_number(first) && first.len() <= 3 && !first.starts_with('0'))
        && groups.all(|group| group.len() == 3 && is_number(group))
}

pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn has_digit(word: &str) -> bool {
    word.chars().any(char::is_numeric)
}

/// Whether a code may be the number of an article without its letter: `110-1`, `8222-5-1`.
pub(super) fn is_article_number(code: &str) -> bool {
    code.contains('-') && code.split('-').all(is_number)
}
