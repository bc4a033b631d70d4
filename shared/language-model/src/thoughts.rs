//! Thoughts in a model's text, between tags such as `<think>` and `</think>`.

use super::place::Place;

/// Separates thoughts from the answer in a stream.
///
/// A tag opens thoughts only where models put it: at the start of the text, or of a line outside code. Elsewhere it is
/// part of the answer. Some templates open the thoughts themselves: then the text has only their end. It may stand
/// within a line, unless the text has named a tag that opens thoughts: then it is about tags.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about the text so far"
)]
pub(super) struct Thoughts {
    /// Text that may become a tag.
    held: String,
    /// The end of the open thoughts.
    open: Option<&'static str>,
    /// Text that is thoughts if their end follows, else the answer.
    undecided: Option<String>,
    /// Whether any thoughts were opened or ended.
    seen: bool,
    /// Whether thoughts ended that no tag had opened.
    unopened: bool,
    /// Whether to skip blanks: those between thoughts and the answer.
    blanks: bool,
    /// Where the answer so far ends.
    place: Place,
    /// The answer since the last character that begins a tag, as far as it may be one.
    tail: String,
    /// Whether the answer has named a tag that opens thoughts.
    named: bool,
}

/// What held text is.
enum Held {
    /// A tag that opens thoughts, which this one ends.
    Opens(&'static str),
    /// The end of thoughts that a template opened.
    Ends,
    /// The beginning of either.
    Unclear,
    /// Neither.
    Text,
}

/// The tags of thoughts, and whether there are templates that write the first one.
const TAGS: [(&str, &str, bool); 4] = [
    ("<think>", "</think>", true),
    ("<thinking>", "</thinking>", false),
    ("<thought>", "</thought>", false),
    // Magistral
    ("[THINK]", "[/THINK]", true),
];
/// The first characters of tags.
const FIRST: [char; 2] = ['<', '['];
/// Bytes of the longest tag that opens thoughts.
const LONGEST: usize = "<thinking>".len();
/// Maximum bytes of undecided text; a longer one is the answer.
const UNDECIDED: usize = 1 << 20;

/// What comes after the last tag with which thoughts that a template opened may end.
pub(super) fn after_last_end(text: &str) -> &str {
    let ends = TAGS.iter().filter(|(.., by_template)| *by_template);
    ends.fold(text, |text, (_, end, _)| {
        text.rsplit_once(end).map_or(text, |(_, rest)| rest)
    })
}

impl Thoughts {
    /// If `leading`, holds the text back until it is clear whether it begins with thoughts that a template opened.
    pub(super) fn leading(leading: bool) -> Self {
        Self {
            undecided: leading.then(String::new),
            ..Self::default()
        }
    }

    /// Whether thoughts ended that no tag had opened.
    pub(super) fn unopened(&self) -> bool {
        self.unopened
    }

    /// The answer and the thoughts in a whole text.
    #[must_use]
    pub(super) fn apart(text: &str) -> (String, String) {
        let mut thoughts = Self::leading(true);
        let (mut answer, thought) = thoughts.pass(text);
        answer.push_str(&thoughts.rest());
        (answer, thought)
    }

    /// The answer and the thoughts in `piece`; a possible tag is held back.
    pub(super) fn pass(&mut self, piece: &str) -> (String, String) {
        let (mut answer, mut thought) = (String::new(), String::new());
        for c in piece.chars() {
            match self.open {
                Some(end) => self.think(end, c, &mut thought),
                None => self.speak(c, &mut answer, &mut thought),
            }
        }
        if let Some(undecided) = &mut self.undecided {
            undecided.push_str(&std::mem::take(&mut answer));
            if undecided.len() > UNDECIDED {
                answer = self.decided(String::new());
            }
        }
        (answer, thought)
    }

    /// The held-back text, at the end of the text.
    pub(super) fn rest(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let text = self.decided(String::new());
        if self.open.is_some() {
            text
        } else {
            text + &held
        }
    }

    /// The undecided text, and the text after it.
    fn decided(&mut self, rest: String) -> String {
        match self.undecided.take() {
            Some(undecided) => undecided + &rest,
            None => rest,
        }
    }

    fn think(&mut self, end: &'static str, c: char, thought: &mut String) {
        self.held.push(c);
        if self.held == end {
            self.held.clear();
            self.open = None;
            self.blanks = true;
            self.place.new_line();
        } else if !end.starts_with(&self.held) {
            // The character may start another tag.
            self.held.pop();
            thought.push_str(&std::mem::take(&mut self.held));
            if end.starts_with(c) {
                self.held.push(c);
            } else {
                thought.push(c);
            }
        }
    }

    fn speak(&mut self, c: char, answer: &mut String, thought: &mut String) {
        if self.held.is_empty() {
            self.begin(c, answer);
            return;
        }
        self.held.push(c);
        match self.judged() {
            Held::Opens(end) => {
                self.held.clear();
                (self.open, self.seen) = (Some(end), true);
                *answer = self.decided(std::mem::take(answer));
            }
            Held::Ends => self.end(answer, thought),
            Held::Unclear => {}
            Held::Text => {
                // The character may start another tag.
                self.held.pop();
                for c in std::mem::take(&mut self.held).chars() {
                    self.show(c, answer);
                }
                self.begin(c, answer);
            }
        }
    }

    /// Holds a character back that may start a tag here, and shows any other.
    fn begin(&mut self, c: char, answer: &mut String) {
        let possible = self.place.at_start() || self.may_end();
        if FIRST.contains(&c) && possible && !self.place.is_code() {
            self.held.push(c);
        } else if !(self.blanks && c.is_whitespace()) {
            self.show(c, answer);
        }
    }

    fn judged(&self) -> Held {
        let held = self.held.as_str();
        let at_start = self.place.at_start();
        let may_end = self.may_end();
        let mut judged = Held::Text;
        for (start, end, by_template) in TAGS {
            if at_start && held == start {
                return Held::Opens(end);
            }
            if by_template && may_end && self.is_end(end) {
                return Held::Ends;
            }
            let opens = at_start && start.starts_with(held);
            if opens || by_template && may_end && end.starts_with(held) {
                judged = Held::Unclear;
            }
        }
        judged
    }

    /// Whether thoughts that a template opened may end here.
    fn may_end(&self) -> bool {
        !self.seen && (self.place.at_start() || !self.named)
    }

    /// Whether the held text is this tag. Where the text before it has been sent already, a tag within a line must also
    /// end the line: a sentence about tags goes on.
    fn is_end(&self, end: &str) -> bool {
        if self.place.at_start() || self.undecided.is_some() {
            self.held == end
        } else {
            self.held.strip_suffix(['\r', '\n']) == Some(end)
        }
    }

    /// Ends thoughts that a template opened.
    fn end(&mut self, answer: &mut String, thought: &mut String) {
        let ends_line = std::mem::take(&mut self.held).ends_with(['\r', '\n']);
        if self.undecided.is_some() {
            thought.push_str(&self.decided(std::mem::take(answer)));
        } else if ends_line {
            self.show('\n', answer);
        }
        (self.seen, self.unopened, self.blanks) = (true, true, true);
        self.place.new_line();
    }

    fn show(&mut self, c: char, answer: &mut String) {
        self.blanks = false;
        answer.push(c);
        self.place.pass(c);
        if FIRST.contains(&c) {
            self.tail.clear();
        }
        if self.tail.len() < LONGEST {
            self.tail.push(c);
            let is_named = TAGS.into_iter().any(|(start, ..)| self.tail == start);
            self.named |= is_named;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer and the thoughts, wherever the text is split.
    fn split(text: &str, leading: bool) -> (String, String) {
        let characters: Vec<char> = text.chars().collect();
        let mut outcomes = (1..=characters.len()).map(|size| {
            let mut thoughts = Thoughts::leading(leading);
            let (mut answer, mut thought) = (String::new(), String::new());
            for piece in characters.chunks(size) {
                let (said, thinks) = thoughts.pass(&piece.iter().collect::<String>());
                answer += &said;
                thought += &thinks;
            }
            answer += &thoughts.rest();
            (answer, thought)
        });
        let first = outcomes.next().expect("there is one way to cut a text");
        for other in outcomes {
            assert_eq!(other, first, "{text:?} depends on how it is cut");
        }
        first
    }

    /// The same whether the text is sent at once or held back.
    fn apart(text: &str) -> (String, String) {
        let whole = Thoughts::apart(text);
        for leading in [false, true] {
            assert_eq!(split(text, leading), whole, "{text:?}, {leading}");
        }
        whole
    }

    #[test]
    fn thoughts_are_not_part_of_the_answer() {
        for (text, answer, thought) in [
            ("<think>Hm [2].</think>\n\nOui [1].", "Oui [1].", "Hm [2]."),
            (
                "\n<thinking>a < b </think> <</thinking>Oui",
                "\nOui",
                "a < b </think> <",
            ),
            (
                "<think></think>Oui\n<think>again</think>\nnon",
                "Oui\nnon",
                "again",
            ),
            ("<think>Hm, and no end", "", "Hm, and no end"),
            (
                "[THINK]Hm [2], [/THI[/THINK]\n[1] Oui [2].",
                "[1] Oui [2].",
                "Hm [2], [/THI",
            ),
            ("Oui\n[THINK]Hm</think>", "Oui\n", "Hm</think>"),
        ] {
            assert_eq!(
                apart(text),
                (answer.to_owned(), thought.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn thoughts_that_a_template_opened_end_with_their_tag() {
        for (text, thoughts, streamed) in [
            (
                "Hm [2].\n</think>\n\nOui [1].",
                "Hm [2].\n",
                "Hm [2].\nOui [1].",
            ),
            (
                "Hm [2].</think>\n\nOui [1].",
                "Hm [2].",
                "Hm [2].\nOui [1].",
            ),
            (
                "Hm, a [</think>\r\nOui [1].",
                "Hm, a [",
                "Hm, a [\nOui [1].",
            ),
            ("Hm [2].[/THINK]\nOui [1].", "Hm [2].", "Hm [2].\nOui [1]."),
        ] {
            let whole = split(text, true);
            assert_eq!(whole, ("Oui [1].".to_owned(), thoughts.to_owned()));
            assert_eq!(whole, Thoughts::apart(text));
            // In a stream the text before has been sent already; the end is remembered for the next answer.
            assert_eq!(split(text, false), (streamed.to_owned(), String::new()));
            let mut stream = Thoughts::default();
            stream.pass(text);
            assert!(stream.unopened(), "{text:?}");
        }
        let within_a_line = "Hm.</think>Oui [1].";
        assert_eq!(split(within_a_line, true).0, "Oui [1].");
        assert_eq!(split(within_a_line, false).0, within_a_line);
    }

    #[test]
    fn a_citation_is_not_held_back() {
        for leading in [false, true] {
            let mut thoughts = Thoughts::leading(leading);
            thoughts.pass("[");
            assert_eq!(thoughts.held, "[");
            thoughts.pass("1");
            assert_eq!(thoughts.held, "");
            thoughts.pass("] Oui [2");
            assert_eq!(thoughts.held, "");
        }
    }

    #[test]
    fn an_answer_without_thoughts_is_whole() {
        for text in [
            "Oui [1].",
            "The tag <think> opens thoughts, </think> ends them.",
            "The tag `<think>` opens thoughts, </think>\nends them.",
            "A template opens them, and `</think>` ends them.",
            "`</think>` ends them.",
            "```\n</think>\n```\nOui",
            "```\na </think>\n```\nOui",
            "Oui\n</thi",
        ] {
            assert_eq!(apart(text), (text.to_owned(), String::new()), "{text:?}");
        }
    }

    #[test]
    fn an_answer_about_tags_is_kept() {
        for text in [
            "The tag <think> opens thoughts, </think> ends them.",
            "```\n<think>Hm</think>\n```",
            "<thin",
            "<b>bold</b>",
            "a <",
            "a [",
            "<think",
            "[THINK",
            "The tag [THINK] opens thoughts, [/THINK]\nends them.",
        ] {
            assert_eq!(apart(text), (text.to_owned(), String::new()), "{text:?}");
        }
    }
}
