//! One spelling for several of Unicode.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The zero-width non-joiner: Persian has it between a word and its ending, like a hyphen elsewhere.
const NON_JOINER: char = '\u{200c}';

/// The text in compatibility form, without invisible characters and ligatures, and with one kind of apostrophe, hyphen
/// and digits.
///
/// It keeps case, because `US` differs from `us`, and accents, because `the` is a stop word and `thé` is not:
/// [`lower_case`] and [`without_accents`] remove them.
pub(super) fn normal(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    for character in text.nfkc() {
        match character {
            'œ' => normal.push_str("oe"),
            'Œ' => normal.push_str("OE"),
            'æ' => normal.push_str("ae"),
            'Æ' => normal.push_str("AE"),
            'ß' => normal.push_str("ss"),
            'ẞ' => normal.push_str("SS"),
            // Word processors use several apostrophes; Unicode counts one of them as a letter.
            '’' | '‘' | 'ʼ' | '′' | '`' | '´' | '‛' => normal.push('\''),
            '\u{2010}'..='\u{2013}' | '−' => normal.push('-'),
            '♯' => normal.push('#'),
            NON_JOINER if normal.ends_with(is_arabic) => normal.push('-'),
            // The compatibility form splits a vowel of Thai and Lao that dictionaries keep whole.
            '\u{e32}' if normal.ends_with('\u{e4d}') => replace_last(&mut normal, '\u{e33}'),
            '\u{eb2}' if normal.ends_with('\u{ecd}') => replace_last(&mut normal, '\u{eb3}'),
            '\u{20}'..='\u{7e}' => normal.push(character),
            other if is_invisible(other) || is_vowel_sign(other) => {}
            other => normal.push(digit(other).unwrap_or_else(|| same_letter(other))),
        }
    }
    normal
}

/// The word in lower case, with one letter for variants by position or language.
pub(super) fn lower_case(word: &str) -> String {
    let mut lower = String::with_capacity(word.len());
    for character in word.chars().flat_map(char::to_lowercase) {
        lower.push(match character {
            'ø' => 'o',
            'ł' => 'l',
            'đ' => 'd',
            'ı' => 'i',
            'ς' => 'σ',
            other => other,
        });
    }
    lower
}

/// The word without the accents of Latin, Greek and Cyrillic letters: people forget them in questions.
///
/// The marks of other scripts are letters rather than accents and stay, as does the breve of `й`, which nobody forgets.
pub(super) fn without_accents(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let mut bare = String::with_capacity(word.len());
    for character in word.nfd() {
        let is_accent = matches!(character, '\u{300}'..='\u{36f}');
        if !is_accent || (character == '\u{306}' && bare.ends_with(['и', 'И'])) {
            bare.push(character);
        }
    }
    if bare.is_ascii() {
        bare
    } else {
        bare.nfc().collect()
    }
}

fn replace_last(text: &mut String, character: char) {
    text.pop();
    text.push(character);
}

pub(super) fn is_arabic(character: char) -> bool {
    matches!(character, '\u{620}'..='\u{64a}' | '\u{66e}'..='\u{6d3}' | '\u{6d5}' | '\u{6fa}'..='\u{6ff}')
}

/// Unicode's `Default_Ignorable_Code_Point` and `Bidi_Control`, invisible to readers: soft hyphens, joiners, direction
/// marks, variation selectors, byte order marks. They would split or disguise the word around them.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The signs that Arabic and Hebrew write only for learners, and the stroke that lengthens an Arabic word.
fn is_vowel_sign(character: char) -> bool {
    let is_pointed = matches!(
        character,
        '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}' | '\u{8d3}'..='\u{8ff}'
    );
    character == '\u{640}' || (is_pointed && is_combining_mark(character))
}

/// Interchangeable letters of Arabic and Hebrew.
fn same_letter(character: char) -> char {
    match character {
        'أ' | 'إ' | 'آ' | 'ٱ' => 'ا',
        'ى' | 'ی' | 'ئ' => 'ي',
        'ک' => 'ك',
        'ة' | 'ۀ' => 'ه',
        'ؤ' => 'و',
        'ך' => 'כ',
        'ם' => 'מ',
        'ן' => 'נ',
        'ף' => 'פ',
        'ץ' => 'צ',
        other => other,
    }
}

/// Converts a decimal digit of another script to ASCII.
fn digit(character: char) -> Option<char> {
    /// The zeros of Arabic, Persian, N'Ko, then the scripts of India in Unicode's order, Thai, Lao, Tibetan, Burmese
    /// and Khmer.
    const ZEROS: [char; 19] = [
        '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}',
        '\u{be6}', '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}',
        '\u{1040}', '\u{1090}', '\u{17e0}',
    ];
    if character < ZEROS[0] || !character.is_numeric() {
        return None;
    }
    let value = |zero: char| u32::from(character).checked_sub(u32::from(zero));
    ZEROS
        .into_iter()
        .filter_map(value)
        .find_map(|value| char::from_digit(value, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str) -> String {
        without_accents(&lower_case(&normal(text)))
    }

    #[test]
    fn invisible_characters_are_removed() {
        for mark in [
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{202a}',
            '\u{202b}',
            '\u{202c}',
            '\u{202d}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{feff}',
            '\u{fe0f}',
            '\u{e0041}',
        ] {
            assert_eq!(
                folded(&format!("reg{mark}istre{mark}")),
                "registre",
                "{mark:?}"
            );
        }
    }

    #[test]
    fn letters_have_one_form() {
        for (one, other) in [
            ("Œuvre", "oeuvre"),
            ("STRASSE", "Straße"),
            ("e\u{301}te\u{301}", "ÉTÉ"),
            ("ﬁn", "fin"),
            ("ΣΕΙΣΜΟΣ", "σεισμός"),
            ("İzmir", "izmir"),
            ("Ёлка", "елка"),
            ("كِتَابٌ", "كتاب"),
            ("سـلام", "سلام"),
            ("أحمد", "احمد"),
            ("مدرسة", "مدرسه"),
            ("کتابی", "كتابي"),
            ("שָׁלוֹם", "שלום"),
            ("٤٢", "42"),
            ("۴۲", "42"),
            ("४२", "42"),
            ("４２", "42"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("мой"), folded("мои"));
        assert_eq!(normal("کتاب\u{200c}ها"), "كتاب-ها");
    }
}
