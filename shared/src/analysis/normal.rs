//! One spelling for what Unicode spells in several ways.

use unicode_normalization::UnicodeNormalization;

/// The text in lower case and compatibility form, with one apostrophe, one hyphen and no ligature.
///
/// Accents stay: `thé` is no stop word and `the` is one. [`without_accents`] removes them.
pub(super) fn lower_case(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for character in text.nfkc().flat_map(char::to_lowercase) {
        match character {
            'œ' => normal.push_str("oe"),
            'æ' => normal.push_str("ae"),
            'ß' => normal.push_str("ss"),
            'ø' => normal.push('o'),
            'ł' => normal.push('l'),
            'đ' => normal.push('d'),
            'ı' => normal.push('i'),
            // Word processors write the apostrophe in several ways; one of them counts as a letter.
            '’' | '‘' | 'ʼ' | '′' | '`' => normal.push('\''),
            '\u{2010}'..='\u{2013}' | '−' => normal.push('-'),
            // Soft hyphens and invisible joiners would split or disguise the word around them.
            '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The word without the accents of Latin, Greek and Cyrillic letters: people forget them in questions.
///
/// The marks of other scripts are letters rather than accents and stay.
pub(super) fn without_accents(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let is_accent = |character: char| matches!(character, '\u{300}'..='\u{36f}');
    word.nfd()
        .filter(|&character| !is_accent(character))
        .nfc()
        .collect()
}
