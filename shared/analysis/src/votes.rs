//! Votes for the language of a text.

use super::{
    language::{Candidates, Guess, Language, Languages, NOUNS_ELSEWHERE, stop_word},
    token::{Placed, Token},
};

/// The votes for each language.
#[derive(Default)]
pub(super) struct Votes {
    scores: [i32; Language::ALL.len()],
    /// Words eligible to vote.
    words: i32,
    /// Stop words and elisions; without any, endings and letters are weak evidence.
    telling: i32,
}

impl Votes {
    const FREQUENT_WORD: i32 = 3;
    const STOP_WORD: i32 = 1;
    const ENDING: i32 = 1;
    /// The penalty for a letter that a language lacks.
    const FOREIGN_LETTER: i32 = 3;
    /// The minimum lead of the best language.
    const LEAD: i32 = 2;
    /// From this many words on, a text with few stop words is in another language.
    const TELLING: i32 = 50;

    pub(super) fn of(tokens: &[Placed]) -> Self {
        let mut votes = Self::default();
        for placed in tokens {
            match &placed.token {
                Token::Elision(elided) => votes.elision(elided),
                Token::Word {
                    text,
                    acronym: false,
                } if placed.role.is_counted() => votes.word(text),
                _ => {}
            }
        }
        votes
    }

    /// French and Italian elide, mostly different words.
    fn elision(&mut self, elided: &str) {
        self.telling += 1;
        let is_french = elided.len() < 3 || elided.ends_with("qu") || elided == "jusqu";
        let language = if is_french {
            Language::French
        } else {
            Language::Italian
        };
        self.scores[language as usize] += Self::FREQUENT_WORD;
        if matches!(elided, "l" | "d" | "c" | "un") {
            self.scores[Language::Italian as usize] += Self::STOP_WORD;
        }
    }

    fn word(&mut self, word: &str) {
        self.words += 1;
        if NOUNS_ELSEWHERE.contains(&word) {
            return;
        }
        let stop_word = stop_word(word);
        if stop_word.languages == Languages::NONE {
            self.add(Languages::of_ending(word), Self::ENDING);
        } else {
            self.telling += 1;
            self.add(stop_word.languages, Self::STOP_WORD);
            self.add(stop_word.frequent, Self::FREQUENT_WORD - Self::STOP_WORD);
        }
        if !word.is_ascii() {
            for letter in word
                .chars()
                .filter(|letter| !letter.is_ascii() && letter.is_alphabetic())
            {
                let others = Languages::of_letter(letter).not();
                self.add(others, -Self::FOREIGN_LETTER);
            }
        }
    }

    fn add(&mut self, languages: Languages, vote: i32) {
        languages
            .iter()
            .for_each(|language| self.scores[language as usize] += vote);
    }

    fn score(&self, language: Language) -> i32 {
        self.scores[language as usize]
    }

    fn best(&self) -> Language {
        // The first one of a tie.
        let languages = Language::ALL.into_iter().rev();
        languages
            .max_by_key(|&language| self.score(language))
            .unwrap_or(Language::English)
    }

    pub(super) fn guess(&self) -> Guess {
        let best = self.best();
        let score = self.score(best);
        let next = Language::ALL
            .into_iter()
            .filter(|&language| language != best);
        let next = next.map(|language| self.score(language)).max().unwrap_or(0);
        let is_told = self.telling > 0 && score >= Self::FREQUENT_WORD && score * 5 >= self.words;
        if is_told && score - next >= Self::LEAD {
            return Guess::Sure(best);
        }
        if self.words >= Self::TELLING && !is_told {
            return Guess::Other;
        }
        let candidates = if self.telling > 0 && score >= Self::FREQUENT_WORD {
            Languages::with(|language| self.score(language) > score - Self::LEAD)
        } else {
            Languages::ALL
        };
        Guess::Unsure(Candidates::among(candidates))
    }
}
