//! Citations in an answer: `[1]`, `[2, 5]`. Those that point at no source are taken out as the text
//! streams by.

/// Takes the text of an answer in pieces and gives it back without citations of sources that there are
/// none of.
#[derive(Debug)]
pub(crate) struct Citations {
    sources: usize,
    /// What may become a citation that is taken out, with the blanks before it.
    held: String,
    code: Code,
    removed: usize,
}

/// Between backquotes brackets are no citations. As in Markdown, code ends with as many of them as it
/// began with; less than three of them end with their line, so that a stray one does no harm beyond it.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    /// Backquotes that opened the code; 0 outside of it.
    opened: usize,
    /// Backquotes in a row so far.
    row: usize,
}

/// Bytes of the longest citation that is looked at: twenty sources of four bytes, and some more.
const LONGEST: usize = 128;
/// Blanks before a citation that go with it.
const BLANKS: usize = 16;

impl Citations {
    /// For an answer from `sources` sources, which are numbered from 1.
    pub(crate) fn new(sources: usize) -> Self {
        Self {
            sources,
            held: String::new(),
            code: Code::default(),
            removed: 0,
        }
    }

    /// A text that is whole, without any citation.
    pub(crate) fn stripped(text: &str) -> String {
        let mut citations = Self::new(0);
        let mut stripped = citations.pass(text);
        stripped.push_str(&citations.rest());
        stripped
    }

    /// The text that can be shown after `piece` has come; what may still become a citation is held back.
    pub(crate) fn pass(&mut self, piece: &str) -> String {
        let mut shown = String::with_capacity(self.held.len() + piece.len());
        for c in piece.chars() {
            self.take(c, &mut shown);
        }
        shown
    }

    /// What was held back, at the end of the answer.
    pub(crate) fn rest(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Citations that pointed at no source so far.
    pub(crate) fn removed(&self) -> usize {
        self.removed
    }

    fn take(&mut self, c: char, shown: &mut String) {
        let code = self.code.pass(c);
        if let Some(open) = self.held.find('[') {
            if c == ']' {
                let kept = self.judged(open);
                shown.push_str(&kept);
                return;
            }
            let fits = self.held.len() - open < LONGEST;
            if fits && (c.is_ascii_digit() || SEPARATORS.contains(&c) || RANGES.contains(&c)) {
                self.held.push(c);
                return;
            }
            // No citation after all.
            shown.push_str(&std::mem::take(&mut self.held));
        }
        let held = match c {
            ' ' => self.held.len() < BLANKS,
            '[' => !code,
            _ => false,
        };
        if !held {
            shown.push_str(&std::mem::take(&mut self.held));
        }
        if held || c == ' ' {
            self.held.push(c);
        } else {
            shown.push(c);
        }
    }

    /// Ends the citation whose bracket is at `open`: what is left of it, without the sources that there
    /// are none of.
    fn judged(&mut self, open: usize) -> String {
        let held = std::mem::take(&mut self.held);
        let cited: Vec<&str> = held[open + 1..]
            .split(SEPARATORS)
            .filter(|cited| !cited.is_empty())
            .collect();
        // `[]` cites nothing.
        if cited.is_empty() {
            return format!("{held}]");
        }
        let known: Vec<&str> = cited
            .iter()
            .copied()
            .filter(|cited| self.is_known(cited))
            .collect();
        self.removed += cited.len() - known.len();
        if known.is_empty() {
            String::new()
        } else {
            format!("{}[{}]", &held[..open], known.join(", "))
        }
    }

    /// Whether there is a source of this number, or of both ends of this range.
    fn is_known(&self, cited: &str) -> bool {
        cited.split(RANGES).all(|number| {
            let number = number.parse();
            number.is_ok_and(|number: usize| (1..=self.sources).contains(&number))
        })
    }
}

/// What stands between two numbers.
const SEPARATORS: [char; 2] = [',', ' '];
/// What stands between the first number of a range and the last.
const RANGES: [char; 2] = ['-', '–'];

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

    /// The text shown, however it is cut into pieces, and the citations removed.
    fn shown(text: &str, sources: usize) -> (String, usize) {
        let mut outcomes = (1..=text.chars().count().max(1)).map(|size| {
            let mut citations = Citations::new(sources);
            let mut shown = String::new();
            let characters: Vec<char> = text.chars().collect();
            for piece in characters.chunks(size) {
                shown += &citations.pass(&piece.iter().collect::<String>());
            }
            shown += &citations.rest();
            (shown, citations.removed())
        });
        let first = outcomes
            .next()
            .expect("there is at least one way to cut a text");
        for other in outcomes {
            assert_eq!(other, first, "{text:?} depends on how it is cut");
        }
        first
    }

    #[test]
    fn citations_of_sources_stay() {
        for text in [
            "La plage ferme à 22 heures [1].",
            "Both [1][3] and [2, 3].",
            "[3], [1-3] and [1–2]",
            "a row [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 3]",
            "  deux  blancs  ",
            "",
        ] {
            assert_eq!(shown(text, 3), (text.to_owned(), 0));
        }
    }

    #[test]
    fn citations_of_nothing_go_with_the_blank_before_them() {
        for (text, expected, removed) in [
            ("It is blue [9].", "It is blue.", 1),
            ("It is [4] blue", "It is blue", 1),
            (
                "Blue[0], red [2, 7], green [8,9]!",
                "Blue, red [2], green!",
                4,
            ),
            ("[99999999999999999999999] Oui", " Oui", 1),
            ("Oui [9,] [9 8] [7-9]", "Oui", 4),
            (
                "twenty [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 99]",
                "twenty [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]",
                1,
            ),
            ("a stray ` quote\nthen [9]", "a stray ` quote\nthen", 1),
            ("``a`b`` then [9]", "``a`b`` then", 1),
            ("```\na ` b\n``` [9]", "```\na ` b\n```", 1),
        ] {
            assert_eq!(shown(text, 3), (expected.to_owned(), removed), "{text:?}");
        }
    }

    #[test]
    fn brackets_of_other_kinds_stay() {
        for text in [
            "a [b] [] [1",
            "see [the site](https://example.org)",
            "use `a[9]` or\n```\nb[9]\n```\n",
            "[ 12",
            "[[1]]",
        ] {
            assert_eq!(shown(text, 3), (text.to_owned(), 0), "{text:?}");
        }
    }

    #[test]
    fn many_blanks_hide_no_citation() {
        let (text, removed) = shown(&format!("a{}[9]", " ".repeat(100)), 3);
        assert!(text.trim_end() == "a" && removed == 1, "{text:?}");
    }
}
