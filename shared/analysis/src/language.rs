//! The language that decides stop words and endings.

use std::{collections::HashMap, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;
use whatlang::Detector;

use super::languages::{DUTCH, Definition, ENGLISH, FRENCH, GERMAN, ITALIAN, PORTUGUESE, SPANISH};

/// A language that Rappel analyses. In any other, words are searched as they are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// English.
    English,
    /// French.
    French,
    /// German.
    German,
    /// Spanish.
    Spanish,
    /// Italian.
    Italian,
    /// Portuguese.
    Portuguese,
    /// Dutch.
    Dutch,
}

/// A set of languages: one bit per place in [`Language::ALL`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Languages(u8);

/// The guess of a text's language.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Guess {
    /// This language.
    Sure(Language),
    /// One of these: too short, or a list or table of names.
    Unsure(Candidates),
    /// Long enough, but none that Rappel knows.
    Other,
}

/// The candidates for an unsure text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidates(pub(super) Languages);

impl Candidates {
    pub(super) fn among(languages: Languages) -> Self {
        Self(languages)
    }
}

impl Language {
    /// Every language, the most common on the web first.
    pub(super) const ALL: [Self; 7] = [
        Self::English,
        Self::French,
        Self::German,
        Self::Spanish,
        Self::Italian,
        Self::Portuguese,
        Self::Dutch,
    ];

    pub(super) fn definition(self) -> &'static Definition {
        match self {
            Self::English => &ENGLISH,
            Self::French => &FRENCH,
            Self::German => &GERMAN,
            Self::Spanish => &SPANISH,
            Self::Italian => &ITALIAN,
            Self::Portuguese => &PORTUGUESE,
            Self::Dutch => &DUTCH,
        }
    }

    /// Its two letters of ISO 639-1.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
            Self::German => "de",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::Portuguese => "pt",
            Self::Dutch => "nl",
        }
    }

    /// `fr`, `fr-CA`, `fra`, `French`, `français`, `EN_us`...
    pub(super) fn named(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase();
        let code = name.split(['-', '_']).next()?;
        Self::ALL
            .into_iter()
            .find(|language| language.definition().names.contains(&code))
    }
}

impl Guess {
    /// Combines the guesses of a part and the whole: both if they differ.
    pub(super) fn with(self, whole: Self) -> Self {
        match (self, whole) {
            (Self::Sure(part), Self::Sure(whole)) if part != whole => {
                Self::Unsure(Candidates(Languages::only(part).or(Languages::only(whole))))
            }
            (Self::Sure(_), _) => self,
            _ => whole,
        }
    }

    /// The languages whose endings to remove.
    pub(super) fn languages(self) -> Languages {
        match self {
            Self::Sure(language) => Languages::only(language),
            Self::Unsure(Candidates(languages)) => languages,
            Self::Other => Languages::NONE,
        }
    }

    /// Whether the word, in lower case with accents, says nothing about a subject.
    pub(super) fn is_stop_word(self, word: &str) -> bool {
        let languages = self.languages();
        let having = Languages::of_stop_word(word).and(languages);
        match self {
            Self::Sure(_) => having != Languages::NONE,
            // `car` is a noun in English.
            _ => {
                having != Languages::NONE
                    && (having == languages || !NOUNS_ELSEWHERE.contains(&word))
            }
        }
    }
}

impl Languages {
    pub(super) const ALL: Self = Self(0x7f);
    pub(super) const NONE: Self = Self(0);
    /// Maximum characters of a text for counting letters.
    const LETTERS: usize = 1000;
    /// At this confidence or more, the detected language was right for 99 of 100 questions.
    pub(super) const CONFIDENCE: f64 = 0.3;

    pub(super) fn only(language: Language) -> Self {
        Self(1 << language as u8)
    }

    pub(super) fn has(self, language: Language) -> bool {
        self.and(Self::only(language)) != Self::NONE
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Language> {
        Language::ALL
            .into_iter()
            .filter(move |&language| self.has(language))
    }

    fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn not(self) -> Self {
        Self(!self.0).and(Self::ALL)
    }

    fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the word, in lower case with accents, is a stop word of any language.
    pub(super) fn has_stop_word(word: &str) -> bool {
        STOP_WORDS.contains_key(word)
    }

    fn of_stop_word(word: &str) -> Self {
        STOP_WORDS
            .get(word)
            .map_or(Self::NONE, |word| word.languages)
    }

    /// The languages that use a non-ASCII letter.
    pub(super) fn of_letter(letter: char) -> Self {
        Self::with(|language| language.definition().letters.contains(letter))
    }

    /// The most typical of these languages for such sequences of letters, or all if none is more likely than
    /// `confidence`, 0 to 1.
    pub(super) fn by_letters(self, text: &str, confidence: f64) -> Guess {
        let text: String = text.nfc().take(Self::LETTERS).collect();
        let detector = Detector::with_allowlist(
            self.iter()
                .map(|language| language.definition().letters_of)
                .collect(),
        );
        let detected = detector
            .detect(&text)
            .filter(|told| told.confidence() > confidence);
        let letters_of = detected.map(|told| told.lang());
        match self
            .iter()
            .find(|&language| letters_of == Some(language.definition().letters_of))
        {
            Some(language) => Guess::Sure(language),
            None => Guess::Unsure(Candidates(self)),
        }
    }

    pub(super) fn of_ending(word: &str) -> Self {
        Self::with(|language| {
            let mut endings = language.definition().endings.iter();
            endings.any(|ending| word.len() > ending.len() + 2 && word.ends_with(ending))
        })
    }

    pub(super) fn with(condition: impl Fn(Language) -> bool) -> Self {
        let having = Language::ALL
            .into_iter()
            .filter(|&language| condition(language));
        having.fold(Self::NONE, |all, language| all.or(Self::only(language)))
    }
}

/// Stop words of one language that are nouns, verbs or names in another: `car insurance` is not French, nor
/// `prix de l'or` English. They do not vote.
pub(super) const NOUNS_ELSEWHERE: [&str; 34] = [
    "an", "as", "art", "but", "car", "come", "comment", "dans", "die", "dos", "era", "fin", "hat",
    "if", "in", "man", "met", "mine", "os", "or", "pour", "plus", "sera", "sin", "sol", "son",
    "sous", "sole", "te", "ten", "ton", "tot", "war", "was",
];

/// The languages with this stop word, in lower case with accents.
pub(super) fn stop_word(word: &str) -> StopWord {
    STOP_WORDS.get(word).copied().unwrap_or_default()
}

/// The languages of a stop word.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StopWord {
    pub(super) languages: Languages,
    /// The ones in which it is frequent.
    pub(super) frequent: Languages,
}

static STOP_WORDS: LazyLock<HashMap<&str, StopWord>> = LazyLock::new(|| {
    let mut words: HashMap<&str, StopWord> = HashMap::with_capacity(1200);
    for language in Language::ALL {
        let (definition, only) = (language.definition(), Languages::only(language));
        for word in definition.stop_words.split_ascii_whitespace() {
            let entry = words.entry(word).or_default();
            entry.languages = entry.languages.or(only);
        }
        for word in definition.frequent.split_ascii_whitespace() {
            let entry = words.entry(word).or_default();
            entry.languages = entry.languages.or(only);
            entry.frequent = entry.frequent.or(only);
        }
    }
    words
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_languages_in_many_ways() {
        for (language, names) in [
            (
                Language::French,
                "fr FR fr-CA fr_FR.UTF-8 fra French Français",
            ),
            (Language::English, "en en-GB eng English anglais"),
            (Language::German, "de de-AT deu German Deutsch"),
            (Language::Portuguese, "pt pt-BR por Português"),
        ] {
            for name in names.split(' ') {
                assert_eq!(Language::named(name), Some(language), "{name}");
            }
        }
        for name in ["", "pl", "frison", "enquête"] {
            assert_eq!(Language::named(name), None, "{name}");
        }
    }

    #[test]
    fn metadata_go_before_the_text() {
        let english = "What is it?";
        assert_eq!(
            Guess::of_document(Some("fr"), "", english),
            Guess::Sure(Language::French)
        );
        assert_eq!(
            Guess::of_document(Some("klingon"), "", english),
            Guess::Sure(Language::English)
        );
        assert_eq!(Guess::of(english), Guess::Sure(Language::English));
        assert!(matches!(Guess::of("CDI CDD"), Guess::Unsure(_)));
    }

    #[test]
    fn stop_words_determine_the_language_of_texts_and_questions() {
        for (text, expected) in [
            (
                "Quel est le délai de préavis d'un cadre ?",
                Some(Language::French),
            ),
            (
                "What are the symptoms of Parkinson's disease?",
                Some(Language::English),
            ),
            ("prix de l’or", Some(Language::French)),
            ("L'employeur", Some(Language::French)),
            ("Wann wird das Gemüse geliefert?", Some(Language::German)),
            (
                "¿Cuándo abre la biblioteca del barrio?",
                Some(Language::Spanish),
            ),
            (
                "Quando apre la biblioteca del quartiere?",
                Some(Language::Italian),
            ),
            (
                "L'ingresso nell’ospedale è vietato",
                Some(Language::Italian),
            ),
            (
                "Quando abre a biblioteca do bairro?",
                Some(Language::Portuguese),
            ),
            ("Wanneer gaat de bibliotheek open?", Some(Language::Dutch)),
            ("The WHO and the UN", Some(Language::English)),
            ("car insurance", None),
            ("congés payés", None),
            ("UN resolutions", None),
            ("110-1", None),
            ("", None),
        ] {
            let guess = Guess::of(text);
            match expected {
                Some(language) => assert_eq!(guess, Guess::Sure(language), "{text}"),
                None => assert!(matches!(guess, Guess::Unsure(_)), "{text}: {guess:?}"),
            }
        }
    }

    #[test]
    fn a_long_text_without_stop_words_is_in_another_language() {
        let polish = "Biblioteka miejska otwiera drzwi wszystkim mieszkańcom każdego ranka oprócz niedziel. ".repeat(8);
        assert_eq!(Guess::of(&polish), Guess::Other);
    }

    #[test]
    fn words_of_two_languages_determine_none() {
        for word in ["car", "or", "but", "contrat"] {
            assert!(Guess::of(word).languages() == Languages::ALL, "{word}");
        }
    }

    #[test]
    fn accents_distinguish_stop_words_from_nouns() {
        for (word, language, expected) in [
            ("mais", Language::French, true),
            ("maïs", Language::French, false),
            ("sur", Language::French, true),
            ("sûr", Language::French, false),
            ("meme", Language::French, true),
            ("même", Language::French, true),
            ("été", Language::French, false),
            ("the", Language::English, true),
            ("thé", Language::English, false),
            ("car", Language::English, false),
            ("für", Language::German, true),
        ] {
            assert_eq!(
                Guess::Sure(language).is_stop_word(word),
                expected,
                "{word} in {language:?}"
            );
        }
    }
}
