//! Scripts without blanks between words.

use std::{ops::Range, sync::LazyLock};

use icu_segmenter::{WordSegmenter, WordSegmenterBorrowed, options::WordBreakInvariantOptions};

use super::token::Role;

/// A script whose words are not separated by blanks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Script {
    /// Chinese characters, in any language.
    Han,
    /// Hiragana, for Japanese grammar.
    Hiragana,
    /// Katakana, for foreign words.
    Katakana,
    /// Thai, Lao, Khmer and Burmese.
    Dictionary,
}

impl Script {
    /// The script of a word's first character, if it is one of these.
    pub(super) fn of(word: &str) -> Option<Self> {
        let first = word.chars().next().filter(|first| !first.is_ascii())?;
        match first {
            '\u{3041}'..='\u{309f}' => Some(Self::Hiragana),
            '\u{30a0}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' => Some(Self::Katakana),
            '\u{3005}'..='\u{3007}'
            | '\u{3400}'..='\u{4dbf}'
            | '\u{4e00}'..='\u{9fff}'
            | '\u{f900}'..='\u{faff}'
            | '\u{20000}'..='\u{3ffff}' => Some(Self::Han),
            '\u{e00}'..='\u{eff}'
            | '\u{1000}'..='\u{109f}'
            | '\u{1780}'..='\u{17ff}'
            | '\u{aa60}'..='\u{aa7f}' => Some(Self::Dictionary),
            _ => None,
        }
    }
}

static WORDS: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(WordBreakInvariantOptions::default()));

/// The search tokens of a run of one script.
///
/// Chinese and Japanese by each pair of adjacent characters, which finds words within longer ones without depending on
/// a consistent dictionary; a single character is found in any word. Others by dictionary words.
/// Each with its bytes in the run.
pub(super) fn segments(run: &str, script: Script) -> Vec<(String, Role, Range<usize>)> {
    if script == Script::Dictionary {
        let words = WORDS.segment_str(run).collect::<Vec<_>>();
        return words
            .windows(2)
            .map(|bounds| {
                let range = bounds[0]..bounds[1];
                (run[range.clone()].to_owned(), Role::Counted, range)
            })
            .collect();
    }
    let characters: Vec<Range<usize>> = run
        .char_indices()
        .map(|(start, character)| start..start + character.len_utf8())
        .collect();
    let segment = |range: Range<usize>, role| (run[range.clone()].to_owned(), role, range);
    let mut segments = Vec::with_capacity(characters.len() * 2);
    for pair in characters.windows(2) {
        segments.push(segment(pair[0].start..pair[1].end, Role::Counted));
    }
    match (script, &characters[..]) {
        (Script::Hiragana, [_]) => {}
        (_, [one]) => segments.push(segment(one.clone(), Role::Counted)),
        (Script::Han, _) => segments.extend(
            characters
                .into_iter()
                .map(|one| segment(one, Role::Indexed)),
        ),
        _ => {}
    }
    segments
}
