//! Citations in an answer: `[1]`, `[2, 5]`, `[1-3]`, `[Source 1]`, `[^1]`, `【1】`. Finds them in the stream without
//! changing the text.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

/// Finds the citations in the text of a streamed answer.
#[derive(Debug)]
pub(crate) struct Citations {
    sources: usize,
    /// Characters so far.
    position: usize,
    /// The open bracket.
    open: Option<Bracket>,
    /// The previous character.
    before: char,
    /// The last character that is not white space.
    before_blanks: char,
    code: Code,
    found: Vec<Citation>,
    invalid: usize,
    cited: BTreeSet<usize>,
}

/// A citation in an answer, with its place in Unicode characters of the whole text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Citation {
    /// Its first character: the bracket.
    pub(crate) start: usize,
    /// The character after its last.
    pub(crate) end: usize,
    /// The source's number; `null` if no source has the cited number.
    pub(crate) source: Option<usize>,
}

#[derive(Debug)]
struct Bracket {
    start: usize,
    closing: char,
    text: String,
    /// Whether it directly follows a word, like an index.
    attached: bool,
    /// Whether the text before makes it a set, an index or an escaped bracket.
    mathematical: bool,
}

/// Brackets between backquotes are not citations. As in Markdown, code ends with as many backquotes as it began
/// with; code with fewer than three ends with its line, which limits the harm of a stray one.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    /// Backquotes that opened the code; 0 outside of it.
    opened: usize,
    /// Backquotes in a row so far.
    row: usize,
}

/// The most bytes of a citation: twenty sources of four bytes, and some more.
const LONGEST: usize = 128;
/// The most citations to list; the others are counted.
const LISTED: usize = 1_000;
/// Numbers with more digits, such as years, are not sources.
const DIGITS: usize = 3;
/// Words that may precede the number, in the usual languages of answers.
const WORDS: [&str; 12] = [
    "source", "sources", "src", "ref", "quelle", "quellen", "fuente", "fuentes", "fonte", "fonti",
    "bron", "bronnen",
];

impl Citations {
    /// For an answer from `sources` sources, numbered from 1.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            sources,
            position: 0,
            open: None,
            before: '\n',
            before_blanks: '\n',
            code: Code::default(),
            found: Vec::new(),
            invalid: 0,
            cited: BTreeSet::new(),
        }
    }

    /// A whole text in which `other` replaces each bracket, given its sources; `None` keeps it, and an empty text also
    /// removes the spaces before it.
    pub(crate) fn replaced(
        text: &str,
        sources: usize,
        other: impl Fn(&[Option<usize>]) -> Option<String>,
    ) -> String {
        let mut citations = Self::new(sources);
        citations.pass(text);
        let mut replaced = String::with_capacity(text.len());
        let mut characters = text.chars();
        let mut at = 0;
        for bracket in citations
            .found
            .chunk_by(|one, next| one.start == next.start)
        {
            let (start, end) = (bracket[0].start, bracket[0].end);
            let cited: Vec<_> = bracket.iter().map(|citation| citation.source).collect();
            replaced.extend(characters.by_ref().take(start - at));
            let original: String = characters.by_ref().take(end - start).collect();
            let other = other(&cited).unwrap_or(original);
            if other.is_empty() {
                replaced.truncate(replaced.trim_end_matches(' ').len());
            }
            replaced.push_str(&other);
            at = end;
        }
        replaced.extend(characters);
        replaced
    }

    /// Reads the next piece of the text.
    pub(crate) fn pass(&mut self, piece: &str) {
        for c in piece.chars() {
            self.take(c);
            self.position += 1;
        }
    }

    /// The citations so far, in the order of the text.
    pub(crate) fn found(&self) -> &[Citation] {
        &self.found
    }

    /// The number of citations of missing sources.
    pub(crate) fn invalid(&self) -> usize {
        self.invalid
    }

    /// The numbers of the cited sources.
    pub(crate) fn cited(&self) -> Vec<usize> {
        self.cited.iter().copied().collect()
    }

    fn take(&mut self, c: char) {
        let code = self.code.pass(c);
        match &mut self.open {
            Some(bracket) if c == bracket.closing => {
                if let Some(bracket) = self.open.take() {
                    self.judge(&bracket);
                }
            }
            Some(bracket) if !matches!(c, '[' | '【' | '\n') && bracket.text.len() < LONGEST => {
                bracket.text.push(c);
            }
            _ => self.open = self.opened(c, code),
        }
        self.before = c;
        if !c.is_whitespace() {
            self.before_blanks = c;
        }
    }

    fn opened(&self, c: char, code: bool) -> Option<Bracket> {
        let closing = match c {
            '[' => ']',
            '【' => '】',
            _ => return None,
        };
        (!code).then(|| Bracket {
            start: self.position,
            closing,
            text: String::new(),
            attached: self.before.is_alphanumeric() || matches!(self.before, '_' | ')'),
            mathematical: self.before == '\\' || "∈∉⊂⊆=≤≥±×÷∪∩".contains(self.before_blanks),
        })
    }

    fn judge(&mut self, bracket: &Bracket) {
        let Some(numbers) = numbers(&bracket.text) else {
            return;
        };
        let known = |number: &usize| *number <= self.sources;
        // Prices, dates and indices in brackets.
        let valid = numbers.iter().any(known);
        if bracket.mathematical || (bracket.attached && !valid) {
            return;
        }
        for number in numbers {
            let source = Some(number).filter(known);
            match source {
                Some(number) => _ = self.cited.insert(number),
                None => self.invalid += 1,
            }
            if self.found.len() < LISTED {
                self.found.push(Citation {
                    start: bracket.start,
                    end: self.position + 1,
                    source,
                });
            }
        }
    }
}

/// The numbers cited in a bracket; `None` if it is not a citation.
fn numbers(text: &str) -> Option<Vec<usize>> {
    // `【1†source】`, from the training of some models.
    let text = text.split('†').next().unwrap_or_default().trim();
    let mut numbers = Vec::new();
    for item in text.split([',', ';', '&']).flat_map(str::split_whitespace) {
        let item = item.trim_start_matches(['^', '#']);
        let word = item.trim_end_matches(':').to_lowercase();
        if WORDS.contains(&word.as_str()) || item.is_empty() {
            continue;
        }
        match item.split_once(['-', '–']) {
            None => numbers.push(number(item)?),
            Some((first, last)) => {
                let range = number(first)?..=number(last.trim_start_matches('^'))?;
                // A longer range is an interval, not a citation.
                if range.is_empty() || range.end() - range.start() >= 100 {
                    return None;
                }
                numbers.extend(range);
            }
        }
    }
    numbers.dedup();
    (!numbers.is_empty()).then_some(numbers)
}

/// A valid number of a source: from 1, without leading zeros.
fn number(digits: &str) -> Option<usize> {
    let plain = digits.len() <= DIGITS && !digits.starts_with('0');
    let digits =
        Some(digits).filter(|digits| plain && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

impl Code {
    /// Whether `c` is within code.
    fn pass(&mut self, c: char) -> bool {
        if c == '`' {
            self.row += 1;
            return true;
        }
        let row = std::mem::take(&mut self.row);
        if row > 0 && self.opened == 0 {
            self.opened = row;
        } else if row > 0 && row == self.opened {
            self.opened = 0;
        }
        if c == '\n' && self.opened < 3 {
            self.opened = 0;
        }
        self.opened > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each citation covers and cites, however the text is cut into pieces.
    fn cited(text: &str, sources: usize) -> Vec<(String, Option<usize>)> {
        let characters: Vec<char> = text.chars().collect();
        let mut outcomes = (1..=characters.len().max(1)).map(|size| {
            let mut citations = Citations::new(sources);
            for piece in characters.chunks(size) {
                citations.pass(&piece.iter().collect::<String>());
            }
            citations.found
        });
        let first = outcomes
            .next()
            .expect("there is at least one way to cut a text");
        for other in outcomes {
            assert_eq!(other, first, "{text:?} depends on how it is cut");
        }
        let covered =
            |citation: &Citation| characters[citation.start..citation.end].iter().collect();
        first
            .iter()
            .map(|citation| (covered(citation), citation.source))
            .collect()
    }

    fn numbers_cited(text: &str, sources: usize) -> Vec<Option<usize>> {
        cited(text, sources)
            .into_iter()
            .map(|(_, source)| source)
            .collect()
    }

    #[test]
    fn a_citation_has_its_place_and_its_source() {
        let place = |text: &str, source| (text.to_owned(), source);
        assert_eq!(cited("Été [1].", 3), [place("[1]", Some(1))]);
        assert_eq!(
            cited("É [2, 9]", 3),
            [place("[2, 9]", Some(2)), place("[2, 9]", None)]
        );
    }

    #[test]
    fn all_styles_are_understood() {
        for (text, expected) in [
            ("[1][3]", vec![1, 3]),
            ("heures[2].", vec![2]),
            ("[1-3] [2–3]", vec![1, 2, 3, 2, 3]),
            ("[Source 1] [sources: 2, 3] [Quelle 2]", vec![1, 2, 3, 2]),
            ("[^1] and 【2】 and 【3†source】", vec![1, 2, 3]),
            ("[[1]] [1;2] [1 2] [1 & 2]", vec![1, 1, 2, 1, 2, 1, 2]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(Some).collect();
            assert_eq!(numbers_cited(text, 3), expected, "{text:?}");
        }
    }

    #[test]
    fn a_citation_without_a_source_is_reported() {
        assert_eq!(numbers_cited("It is blue [9].", 3), [None]);
        assert_eq!(numbers_cited("``a`b`` then [9]", 3), [None]);
        assert_eq!(numbers_cited("a stray ` quote\nthen [9]", 3), [None]);
        let mut citations = Citations::new(3);
        citations.pass("[3] [7, 1] [8]");
        assert_eq!((citations.cited(), citations.invalid()), (vec![1, 3], 2));
    }

    #[test]
    fn other_brackets_are_not_citations() {
        for text in [
            "R v Smith [2004] UKHL, [2019-11-04], [sic], [], [1",
            "x ∈ [0, 1], y ∈ [1, 2], z = [1, 2, 3]",
            "arr[0] = t[12]; [0-9] [007] [1.5] [-1] [1--2] [3-1]",
            "see [the site](https://example.org), [Figure 1], [x]",
            "use `a[1]` or\n```\nb[1]\n```\n",
            "\\[1\\] [1\n]",
        ] {
            assert!(cited(text, 3).is_empty(), "{text:?}: {:?}", cited(text, 3));
        }
    }

    #[test]
    fn citations_are_listed_up_to_a_limit_and_counted_beyond() {
        let mut citations = Citations::new(1);
        citations.pass(&"[1] [2] ".repeat(LISTED));
        assert_eq!(
            (citations.found.len(), citations.invalid()),
            (LISTED, LISTED)
        );
    }

    #[test]
    fn the_citations_of_a_text_can_be_replaced() {
        let named = |text: &str| {
            Citations::replaced(text, 2, |cited| match cited {
                [None] => None,
                [Some(1), ..] => Some(String::new()),
                cited => Some(format!("{cited:?}")),
            })
        };
        assert_eq!(
            named("É [1] a [2, 9] b [2004] c [7]"),
            "É a [Some(2), None] b [2004] c [7]"
        );
        assert_eq!(named("rien"), "rien");
    }
}
