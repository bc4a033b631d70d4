//! A text to the terms that BM25 counts.
//!
//! A passage is analysed in its document's language, and a question in its own; a question that does not tell
//! its language is looked up in both. Terms are stored: another analysis needs every passage again.

mod language;
mod normal;
mod numbers;
mod stop_words;
mod tokens;

use std::{borrow::Cow, collections::BTreeMap};

use frostem::{Algorithm, Stemmer};

pub use language::Language;
use normal::without_accents;
use numbers::is_article_number;
use stop_words::is_stop_word;
use tokens::{ARTICLE_LETTERS, Token, tokens};

/// The version of the analysis. Terms are stored: with another number, `migrate` analyses every passage again.
pub const VERSION: u32 = 1;

/// What is kept of a term's characters: the rest of a longer one, of encoded data, is not searched.
pub const MAX_TERM_CHARACTERS: usize = 64;

/// The terms of a passage.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Terms {
    /// The distinct terms in the order of their bytes, each with its number of occurrences; more than
    /// [`i16::MAX`] of them, the most that Postgres' `smallint` holds, count as that many.
    pub frequencies: Vec<(String, i16)>,
    /// The number of occurrences of all terms.
    pub length: i32,
}

/// The terms of a passage and of its document's title, in the document's language.
///
/// The title counts in every passage: without it, BM25 found much less in our measurements.
#[must_use]
pub fn passage(title: &str, content: &str, language: Language) -> Terms {
    let mut frequencies: BTreeMap<String, i16> = BTreeMap::new();
    let mut length = 0_i32;
    for token in tokens(title).iter().chain(&tokens(content)) {
        if let Some(term) = term(token, language) {
            let frequency = frequencies.entry(term).or_default();
            *frequency = frequency.saturating_add(1);
            length = length.saturating_add(1);
        }
    }
    Terms {
        frequencies: frequencies.into_iter().collect(),
        length,
    }
}

/// The distinct terms of a question, in the order of their bytes, each with the number of the question's word that it
/// stands for: terms with one number are alternatives, of which a passage has one.
///
/// There are none in a question of stop words and punctuation only.
#[must_use]
pub fn query_terms(text: &str) -> Vec<(String, i32)> {
    let tokens = tokens(text);
    let languages = match Language::detected(&tokens) {
        Some(Language::French) => &[Language::French][..],
        Some(Language::English) => &[Language::English],
        None => &[Language::French, Language::English],
    };
    let mut terms: BTreeMap<String, i32> = BTreeMap::new();
    for (word, token) in (0..).zip(&tokens) {
        let mut stands_for = |term| {
            terms.entry(term).or_insert(word);
        };
        languages
            .iter()
            .filter_map(|&language| term(token, language))
            .for_each(&mut stands_for);
        // People leave out the letter of an article, which passages name with it.
        if let Token::Code(number) = token
            && is_article_number(number)
        {
            let numbers = ARTICLE_LETTERS.map(|letter| format!("{letter}{number}"));
            numbers.into_iter().for_each(&mut stands_for);
        }
    }
    terms.into_iter().collect()
}

/// The terms of [`query_terms`] alone.
#[must_use]
pub fn query(text: &str) -> Vec<String> {
    query_terms(text)
        .into_iter()
        .map(|(term, _)| term)
        .collect()
}

/// What a token is counted as; nothing if it is a stop word of the language, or accents without a letter.
fn term(token: &Token, language: Language) -> Option<String> {
    let mut term = match token {
        Token::Elision => return None,
        Token::Word(word) if is_stop_word(word, language) => return None,
        Token::Word(word) => stem(word, language),
        Token::Code(code) => code.clone(),
    };
    if let Some((end, _)) = term.char_indices().nth(MAX_TERM_CHARACTERS) {
        term.truncate(end);
    }
    // The empty term stands for any in the database.
    (!term.is_empty()).then_some(term)
}

/// The word without its accents and ending.
///
/// The accents go first: people forget them in questions, and a stemmer treats `employé` and
/// `employe` differently.
fn stem(word: &str, language: Language) -> String {
    let word = without_accents(word);
    match language {
        Language::French => {
            let word = with_masculine_participle(&word);
            Stemmer::new(Algorithm::French).stem(&word).into_owned()
        }
        Language::English => Stemmer::new(Algorithm::English).stem(&word).into_owned(),
    }
}

/// `salariee` and `salariees` as `salarie`: without its accent, the stemmer no longer sees a
/// participle there.
fn with_masculine_participle(word: &str) -> Cow<'_, str> {
    match word.strip_suffix("ees").or_else(|| word.strip_suffix("ee")) {
        Some(root) => Cow::Owned(format!("{root}e")),
        None => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(text: &str, language: Language) -> Vec<String> {
        passage("", text, language)
            .frequencies
            .into_iter()
            .map(|(term, _)| term)
            .collect()
    }

    /// Whether a question in a language finds a passage of it by each of its words.
    fn finds(question: &str, text: &str, language: Language) -> bool {
        let (asked, wanted, found) = (
            query(question),
            terms(question, language),
            terms(text, language),
        );
        !wanted.is_empty()
            && wanted
                .iter()
                .all(|term| asked.contains(term) && found.contains(term))
    }

    #[test]
    fn what_a_french_user_expects_to_find() {
        for (question, text) in [
            ("employes", "L’employé et l’employée"),
            ("salariée", "les salariés"),
            ("Quels travaux publics ?", "travaux publics"),
            ("journal", "les journaux"),
            ("generaux", "général"),
            ("le règlement intérieur", "REGLEMENT INTERIEUR"),
            ("œuvre", "mis en oeuvre"),
            ("l'arc en ciel", "arc-en-ciel"),
            ("prudhommes", "conseil de prud’hommes"),
            ("le salarié", "un·e salarié·e"),
            ("qu'est-ce qu'une SARL ?", "La S.A.R.L. est une société."),
            ("article L110-1", "art.L.110-1 ; l’article L. 110-1 du code"),
            ("l 110-1", "l’article L. 110-1"),
            ("le R123-4", "R*123-4"),
            ("le délai du D. 8222-5-1", "délai, D8222-5-1"),
            ("la covid", "Covid-19"),
            ("la guerre de 1914", "Guerre 1914–1918"),
            ("12000 euros", "12 000 euros, 12\u{202f}000 euros"),
            ("le taux de 1,5 %", "taux : 1.5%"),
            ("Quel est le prix de l'or ?", "Le prix de l’or"),
            ("le thé", "thés verts"),
            ("vitamine D", "La vitamine D"),
        ] {
            assert!(
                finds(question, text, Language::French),
                "{question}: {:?} in {text}",
                query(question)
            );
        }
    }

    #[test]
    fn what_an_english_user_expects_to_find() {
        for (question, text) in [
            ("What are the policies of the company?", "Company policy"),
            ("running", "He runs"),
            ("Parkinson disease", "Parkinson’s diseases"),
            ("How is it treated?", "treatment and treating: he treats"),
            ("car insurance", "The insurance of the car"),
            ("vitamin B12", "Vitamin B12"),
        ] {
            assert!(
                finds(question, text, Language::English),
                "{question}: {:?} in {text}",
                query(question)
            );
        }
    }

    #[test]
    fn a_question_in_no_language_is_looked_up_in_both() {
        assert_eq!(query("studies"), ["stud", "studi"]);
        assert_eq!(query("company"), ["compani", "company"]);
        assert_eq!(query("the company"), ["compani"]);
        assert_eq!(query("la company"), ["company"]);
    }

    #[test]
    fn a_number_of_an_article_finds_it_without_its_letter() {
        let asked = query("article 110-1");
        assert!(asked.contains(&"l110-1".to_owned()), "{asked:?}");
        assert!(!query("L110-1").contains(&"r110-1".to_owned()));
    }

    #[test]
    fn a_passage_counts_occurrences_with_its_title_and_without_stop_words() {
        let passage = passage(
            "Le contrat",
            "Les contrats de l’employeur.",
            Language::French,
        );
        let expected = [("contrat".to_owned(), 2), ("employeur".to_owned(), 1)];
        assert_eq!(passage.frequencies, expected);
        assert_eq!(passage.length, 3);
    }

    #[test]
    fn a_passage_is_analysed_in_its_language() {
        assert_eq!(terms("The companies", Language::English), ["compani"]);
        assert_eq!(terms("The companies", Language::French), ["compan", "the"]);
    }

    #[test]
    fn any_other_script_is_found_by_its_words() {
        for (question, text) in [
            ("Москва", "в Москве и Москва"),
            ("東京", "東京都"),
            ("한국어", "한국어 문장"),
            ("العربية", "اللغة العربية"),
        ] {
            let terms = terms(text, Language::of(None, text));
            assert!(
                query(question).iter().any(|term| terms.contains(term)),
                "{question}: {terms:?}"
            );
        }
    }

    #[test]
    fn nothing_to_search_by_gives_no_terms() {
        for text in ["", " \n", "?!", "Qui est-ce ?", "€ %", "\0"] {
            assert_eq!(query(text), Vec::<String>::new(), "{text:?}");
        }
        assert_eq!(passage("", "", Language::French), Terms::default());
    }

    #[test]
    fn an_endless_term_is_cut_the_same_way_in_passage_and_question() {
        let blob = "é9".repeat(1000);
        let asked = query(&blob);
        assert_eq!(asked[0].chars().count(), MAX_TERM_CHARACTERS);
        assert_eq!(asked, terms(&blob, Language::French));
    }

    #[test]
    fn frequencies_stay_at_their_maximum() {
        let passage = passage("", &"contrat ".repeat(70_000), Language::French);
        assert_eq!(passage.frequencies, [("contrat".to_owned(), i16::MAX)]);
        assert_eq!(passage.length, 70_000);
    }
}
