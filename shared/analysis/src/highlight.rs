//! Where a text has the words of a question.

use std::{collections::BTreeSet, ops::Range};

use unicode_segmentation::UnicodeSegmentation;

use super::{
    Guess,
    elision::elided,
    normal::{lower_case, normal},
    numbers::words,
    terms,
    token::Role,
    tokens::tokens,
};

/// The ranges of a text, in characters (Unicode scalar values), whose words have one of these terms; in order, without
/// overlap. `guess` is the language of the text.
///
/// What is searched as one, such as a telephone number, is one range; articles before an apostrophe are left out.
#[must_use]
pub fn highlights(text: &str, guess: Guess, asked: &BTreeSet<String>) -> Vec<Range<usize>> {
    let mut forms = Vec::new();
    let tokens = tokens(text).into_iter();
    let found = tokens.filter(|placed| {
        forms.clear();
        if placed.role != Role::Asked {
            terms(&placed.token, guess, &mut forms);
        }
        forms.iter().any(|term| asked.contains(term))
    });
    let mut found = found.map(|placed| placed.range).peekable();
    if found.peek().is_none() {
        return Vec::new();
    }
    let places = Places::of(text);
    let mut ranges: Vec<Range<usize>> = found.map(|range| places.range(&range)).collect();
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|next, last| {
        let is_overlap = next.start < last.end;
        if is_overlap {
            last.end = last.end.max(next.end);
        }
        is_overlap
    });
    ranges
}

/// Leads from the bytes of a text in lower case, as tokens have them, to the characters of the text.
struct Places {
    words: Vec<Word>,
    /// Of each grapheme of the text: its first byte in the normal form, and its first character in the text.
    graphemes: Vec<(usize, usize)>,
    characters: usize,
}

struct Word {
    lower_start: usize,
    normal_start: usize,
    lower: String,
    normal: String,
}

impl Places {
    fn of(text: &str) -> Self {
        let mut graphemes = Vec::new();
        let (mut bytes, mut characters) = (0, 0);
        for grapheme in text.graphemes(true) {
            // The two halves of a Thai or Lao vowel become one character, but are two graphemes.
            if !grapheme.starts_with(['\u{e32}', '\u{eb2}']) || graphemes.is_empty() {
                graphemes.push((bytes, characters));
            }
            bytes += normal(grapheme).len();
            characters += grapheme.chars().count();
        }
        Self {
            words: Word::all(&normal(text)),
            graphemes,
            characters,
        }
    }

    /// The characters of a range of bytes.
    fn range(&self, lower: &Range<usize>) -> Range<usize> {
        let start = self.normal(self.without_article(lower.start));
        let end = self.normal(lower.end);
        let after = |byte: usize| self.graphemes.partition_point(|(start, _)| *start <= byte);
        let first = after(start).saturating_sub(1);
        let next = after(end.saturating_sub(1));
        let character = |grapheme: usize| {
            self.graphemes
                .get(grapheme)
                .map_or(self.characters, |(_, character)| *character)
        };
        character(first)..character(next)
    }

    /// The byte after the articles of the word that begins here.
    fn without_article(&self, lower: usize) -> usize {
        let word = self.word(lower).filter(|word| word.lower_start == lower);
        let mut rest = word.map_or("", |word| word.lower.as_str());
        let mut at = lower;
        while let Some((article, noun)) = elided(rest) {
            at += article.len() + 1;
            rest = noun;
        }
        at
    }

    /// The byte in the normal form of a byte in lower case.
    fn normal(&self, lower: usize) -> usize {
        let Some(word) = self.word(lower) else {
            return lower;
        };
        let inside = lower - word.lower_start;
        if let Some(beyond) = inside.checked_sub(word.lower.len()) {
            return word.normal_start + word.normal.len() + beyond;
        }
        let characters = word
            .lower
            .char_indices()
            .take_while(|(at, _)| *at < inside)
            .count();
        let mut bytes = word.normal.char_indices().map(|(at, _)| at);
        let inside = bytes.nth(characters).unwrap_or(word.normal.len());
        word.normal_start + inside
    }

    fn word(&self, lower: usize) -> Option<&Word> {
        let after = self.words.partition_point(|word| word.lower_start <= lower);
        self.words.get(after.checked_sub(1)?)
    }
}

impl Word {
    /// The words of a text in normal form; between them lower case changes nothing.
    fn all(normal: &str) -> Vec<Self> {
        let mut all = Vec::new();
        let (mut read, mut lower_bytes) = (0, 0);
        for (start, word) in words(normal) {
            lower_bytes += start - read;
            let lower = lower_case(word);
            let lower_start = lower_bytes;
            lower_bytes += lower.len();
            read = start + word.len();
            all.push(Self {
                lower_start,
                normal_start: start,
                lower,
                normal: word.to_owned(),
            });
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, query_terms};

    fn marked(question: &str, text: &str) -> Vec<String> {
        let asked = query_terms(question).into_iter().map(|asked| asked.term);
        let characters: Vec<char> = text.chars().collect();
        highlights(text, Guess::of(text), &asked.collect())
            .into_iter()
            .map(|range| characters[range].iter().collect())
            .collect()
    }

    #[test]
    fn words_are_marked_in_the_form_that_they_have() {
        for (question, text, expected) in [
            (
                "congé payé",
                "Les Congés payés sont dus. CONGE !",
                &["Congés", "payés", "CONGE"][..],
            ),
            (
                "employeur",
                "à la charge de l’employeur ou d'un employeur",
                &["employeur", "employeur"],
            ),
            (
                "oeuvre",
                "L’Œuvre est protégée, les œuvres aussi.",
                &["Œuvre", "œuvres"],
            ),
            (
                "ete",
                "l'e\u{301}te\u{301} et l'été",
                &["e\u{301}te\u{301}", "été"],
            ),
            (
                "registre",
                "le re\u{ad}gistre, \u{200b}registre",
                &["re\u{ad}gistre", "registre"],
            ),
            ("concurrence", "clause de non-concurrence", &["concurrence"]),
            ("weekend", "un week-end libre", &["week-end"]),
            (
                "01 99 00 12 34",
                "Appelez le 01.99.00.12.34 !",
                &["01.99.00.12.34"],
            ),
            (
                "FR7630004000031234567890143",
                "au compte FR76 3000 4000 0312 3456 7890 143 ouvert",
                &["FR76 3000 4000 0312 3456 7890 143"],
            ),
            ("16 Go", "avec 16Go de mémoire", &["16Go"]),
            ("C++", "le C++ et le C", &["C++"]),
            ("東京", "私は東京都に住む", &["東京"]),
            ("ﬁn", "la ﬁnale et la ﬁn", &["ﬁn"]),
            ("straße", "In der STRASSE 👩‍👩‍👧 Straße", &["STRASSE", "Straße"]),
            ("le la de", "le chat de la voisine", &[]),
            ("chien", "le chat de la voisine", &[]),
        ] {
            assert_eq!(marked(question, text), expected, "{question:?} in {text:?}");
        }
    }

    #[test]
    fn any_text_is_marked_within_its_bounds() {
        let pieces = [
            "l'",
            "été",
            "E\u{301}",
            " ",
            "-",
            "東",
            "京",
            "ก",
            "\u{e4d}\u{e32}",
            "ﬁ",
            "İ",
            "ب\u{200c}",
            "\u{ad}",
            "12",
            ".",
            "+",
            "a",
            "ss",
            "👩‍👧",
            "\r\n",
            "ـ",
        ];
        let mut state = 1_u32;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..12 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(state >> 16) as usize % pieces.len()]);
            }
            let asked: BTreeSet<String> = query_terms(&text)
                .into_iter()
                .map(|asked| asked.term)
                .collect();
            let characters = text.chars().count();
            let mut last = 0;
            for range in highlights(&text, Guess::Sure(Language::French), &asked) {
                assert!(
                    last <= range.start && range.start < range.end,
                    "{text:?}: {range:?}"
                );
                assert!(range.end <= characters, "{text:?}: {range:?}");
                last = range.end;
            }
        }
    }
}
