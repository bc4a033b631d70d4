//! Words without their endings.

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};

use super::{
    language::Language,
    normal::{is_arabic, without_accents},
};

/// Words this short have no ending.
const SHORT: usize = 2;

/// The word, in lower case, without accents and its ending in a language; for a script of only one large language, in
/// any.
///
/// Accents go first: people omit them in questions, and a stemmer treats `employé` and `employe` differently.
pub(super) fn stem(word: &str, language: Option<Language>) -> String {
    let word = without_accents(word);
    if word.len() <= SHORT {
        return word;
    }
    if !word.is_ascii() {
        match word.chars().next() {
            Some('\u{400}'..='\u{52f}') => return stemmed(Algorithm::Russian, &word),
            Some('\u{370}'..='\u{3ff}') => return stemmed(Algorithm::Greek, &word),
            Some('\u{900}'..='\u{97f}') => return stemmed(Algorithm::Hindi, &word),
            Some(first) if is_arabic(first) => return arabic(&word),
            _ => {}
        }
    }
    let Some(language) = language else {
        return word;
    };
    let word = match language {
        Language::French => with_masculine_participle(&word),
        Language::Spanish => with_ending(&word, "cion", "ción"),
        Language::Portuguese if word.ends_with("coes") => with_ending(&word, "coes", "ção"),
        Language::Portuguese => with_ending(&word, "cao", "ção"),
        _ => Cow::Borrowed(word.as_str()),
    };
    let stem = stemmed(language.definition().algorithm, &word);
    if stem.is_ascii() {
        stem
    } else {
        without_accents(&stem)
    }
}

fn stemmed(algorithm: Algorithm, word: &str) -> String {
    Stemmer::new(algorithm).stem(word).into_owned()
}

/// `salariee` and `salariees` as `salarie`: without the accent, the stemmer misses the participle.
fn with_masculine_participle(word: &str) -> Cow<'_, str> {
    match word.strip_suffix("ees").or_else(|| word.strip_suffix("ee")) {
        Some(root) => Cow::Owned(format!("{root}e")),
        None => Cow::Borrowed(word),
    }
}

/// An ending with the accent that the stemmer expects.
fn with_ending<'w>(word: &'w str, bare: &str, accented: &str) -> Cow<'w, str> {
    match word.strip_suffix(bare) {
        Some(root) => Cow::Owned(format!("{root}{accented}")),
        None => Cow::Borrowed(word),
    }
}

/// Arabic without article and common endings: the best light stemmer of Larkey, Ballesteros and Connell ("Improving
/// Stemming for Arabic Information Retrieval", 2002), which also removes the Persian plural.
fn arabic(word: &str) -> String {
    const ARTICLES: [&str; 6] = ["وال", "بال", "كال", "فال", "ال", "لل"];
    // The ending `ه` stays, because it forms other nouns: a library is not an office.
    const ENDINGS: [&str; 7] = ["هاي", "ها", "ان", "ات", "ون", "ين", "ي"];
    let letters = |word: &str| word.chars().count();
    let mut stem = word;
    let bare = ARTICLES
        .iter()
        .find_map(|article| stem.strip_prefix(article));
    if let Some(bare) = bare.filter(|bare| letters(bare) > 2) {
        stem = bare;
    }
    for ending in ENDINGS {
        if let Some(bare) = stem.strip_suffix(ending).filter(|bare| letters(bare) > 2) {
            stem = bare;
        }
    }
    stem.to_owned()
}
