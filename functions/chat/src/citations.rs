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

/// Between backquotes brackets are no citations.
#[derive(Clone, Copy, Debug, Default)]
struct Code {
    inside: bool,
    /// Whether the last character was a backquote: of a row of them only the first one counts.
    in_row: bool,
}

/// Bytes of the longest citation that is looked at: `[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]` and some more.
const LONGEST: usize = 64;

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
        let open = self.held.contains('[');
        let code = self.code.pass(c);
        if open && c == ']' {
            let kept = self.judged();
            shown.push_str(&kept);
        } else if open && (c.is_ascii_digit() || c == ',' || c == ' ') && self.held.len() < LONGEST
        {
            self.held.push(c);
        } else {
            // No citation after all.
            if open || (c != ' ' && c != '[') {
                shown.push_str(&std::mem::take(&mut self.held));
            }
            let may_begin = (c == '[' && !code) || c == ' ';
            if may_begin && self.held.len() < LONGEST {
                self.held.push(c);
            } else {
                shown.push_str(&std::mem::take(&mut self.held));
                shown.push(c);
            }
        }
    }

    /// Ends a citation: what is left of it, without the sources that there are none of.
    fn judged(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let (blanks, numbers) = held.split_once('[').unwrap_or((&held, ""));
        let numbers: Vec<&str> = numbers.split(',').map(str::trim).collect();
        // `[]` and `[1 2]` are no citations.
        if numbers
            .iter()
            .any(|number| number.is_empty() || number.contains(' '))
        {
            return format!("{held}]");
        }
        let known: Vec<&str> = numbers
            .iter()
            .copied()
            .filter(|number| {
                number
                    .parse()
                    .is_ok_and(|n: usize| (1..=self.sources).contains(&n))
            })
            .collect();
        self.removed += numbers.len() - known.len();
        if known.is_empty() {
            String::new()
        } else {
            format!("{blanks}[{}]", known.join(", "))
        }
    }
}

impl Code {
    /// Whether `c` is within code.
    fn pass(&mut self, c: char) -> bool {
        if c == '`' && !self.in_row {
            self.inside = !self.inside;
        }
        self.in_row = c == '`';
        self.inside
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
            "[3]",
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
        ] {
            assert_eq!(shown(text, 3), (expected.to_owned(), removed), "{text:?}");
        }
    }

    #[test]
    fn brackets_of_other_kinds_stay() {
        for text in [
            "a [b] [] [1 2] [1",
            "see [the site](https://example.org)",
            "use `a[9]` or\n```\nb[9]\n```\n",
            "[ 12",
            "[[1]]",
        ] {
            assert_eq!(shown(text, 3), (text.to_owned(), 0), "{text:?}");
        }
    }
}
