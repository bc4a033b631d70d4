//! Spellings of numbers.

use unicode_segmentation::UnicodeSegmentation;

/// The words of UAX 29, but with lists of numbers without spaces split: `8,8-1,9`.
pub(super) fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::with_capacity(text.len() / 6);
    for (start, word) in text.unicode_word_indices() {
        // UAX 29 joins a mark on a blank to the blank.
        let skipped = word.find(char::is_alphanumeric).unwrap_or(0);
        let (start, word) = (start + skipped, &word[skipped..]);
        let commas = word.matches(',').count();
        if commas == 0 {
            words.push((start, word));
            continue;
        }
        // `-12,50` is one number, `8,8-1,9` is a list.
        let before = text[..start].strip_suffix('-');
        let after = text[start + word.len()..].strip_prefix('-');
        let hyphenated = before.is_some_and(|before| before.ends_with(char::is_alphanumeric))
            || after.is_some_and(|after| after.starts_with(char::is_alphanumeric));
        if hyphenated || (commas > 1 && !is_grouped(word) && grouped_decimal(word).is_none()) {
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

/// Normalises a number: `1,5` to `1.5`, `12,000` and `12.000` to `12000`, `1.234,56`, `1,234.56` and `1'234.56` to
/// `1234.56`.
pub(super) fn number(word: &str) -> String {
    if is_grouped(word) {
        word.replace([',', '.', '\''], "")
    } else if let Some((whole, fraction)) = grouped_decimal(word) {
        format!("{}.{fraction}", whole.replace([',', '.', '\''], ""))
    } else {
        word.replace(',', ".").replace('\'', "")
    }
}

pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn has_digit(word: &str) -> bool {
    if word.is_ascii() {
        word.bytes().any(|byte| byte.is_ascii_digit())
    } else {
        word.chars().any(char::is_numeric)
    }
}

/// Whether commas, dots or apostrophes only group a number's digits by thousands.
fn is_grouped(word: &str) -> bool {
    let mut groups = word.split([',', '.', '\'']);
    groups
        .next()
        .is_some_and(|first| is_number(first) && first.len() <= 3 && !first.starts_with('0'))
        && groups.all(|group| group.len() == 3 && is_number(group))
}

/// The whole and the fraction of a number with one sign between thousands and another before the fraction.
fn grouped_decimal(word: &str) -> Option<(&str, &str)> {
    let point = word.rfind([',', '.'])?;
    let (whole, fraction) = (&word[..point], &word[point + 1..]);
    let sign = word[point..].chars().next()?;
    let is_apart = whole.contains([',', '.', '\'']) && !whole.contains(sign);
    (is_apart && is_grouped(whole) && is_number(fraction)).then_some((whole, fraction))
}
