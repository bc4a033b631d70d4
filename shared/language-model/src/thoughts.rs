//! Thoughts in a model's text, between `<think>` and `</think>`.

/// Separates thoughts from the answer in a stream.
///
/// A tag opens thoughts only where models put it: at the start of the text, or of a line outside a code block.
/// Elsewhere it is part of the answer. Some templates open the thoughts themselves: then the text has only their end.
#[derive(Debug)]
pub(super) struct Thoughts {
    /// Text that may become a tag.
    held: String,
    /// The name of the open tag.
    open: Option<&'static str>,
    /// Text that is thoughts if their end follows, else the answer.
    undecided: Option<String>,
    /// Whether any thoughts were opened or ended.
    seen: bool,
    /// Whether thoughts ended that no tag had opened.
    unopened: bool,
    /// Whether a tag may open here: only blanks since the start of the line.
    at_start: bool,
    /// Whether to skip blanks: those between thoughts and the answer.
    blanks: bool,
    /// Backquotes at the start of the line, and whether they opened a code block.
    quotes: usize,
    code: bool,
}

const TAGS: [&str; 3] = ["think", "thinking", "thought"];
/// The end of thoughts that a template opened.
const LEADING_END: &str = "</think>";
/// Maximum bytes of undecided text; a longer one is the answer.
const UNDECIDED: usize = 1 << 20;

impl Default for Thoughts {
    fn default() -> Self {
        Self {
            held: String::new(),
            open: None,
            undecided: None,
            seen: false,
            unopened: false,
            at_start: true,
            blanks: false,
            quotes: 0,
            code: false,
        }
    }
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
        let mut thoughts = Self::default();
        let (mut answer, thought) = thoughts.pass(text);
        answer.push_str(&thoughts.rest());
        (answer, thought)
    }

    /// The answer and the thoughts in `piece`; a possible tag is held back.
    pub(super) fn pass(&mut self, piece: &str) -> (String, String) {
        let (mut answer, mut thought) = (String::new(), String::new());
        for c in piece.chars() {
            match self.open {
                Some(name) => self.think(name, c, &mut thought),
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

    fn think(&mut self, name: &'static str, c: char, thought: &mut String) {
        self.held.push(c);
        let end = format!("</{name}>");
        if self.held == end {
            self.held.clear();
            self.open = None;
            (self.at_start, self.blanks) = (true, true);
        } else if !end.starts_with(&self.held) {
            // The character may start another tag.
            self.held.pop();
            thought.push_str(&std::mem::take(&mut self.held));
            if c == '<' {
                self.held.push(c);
            } else {
                thought.push(c);
            }
        }
    }

    fn speak(&mut self, c: char, answer: &mut String, thought: &mut String) {
        if self.blanks && c.is_whitespace() {
            return;
        }
        if self.held.is_empty() && !(c == '<' && self.at_start && !self.code) {
            self.shown(c, answer);
            return;
        }
        self.held.push(c);
        let opened = TAGS
            .into_iter()
            .find(|name| self.held == format!("<{name}>"));
        if opened.is_some() {
            self.held.clear();
            (self.open, self.seen) = (opened, true);
            *answer = self.decided(std::mem::take(answer));
        } else if !self.seen && self.held == LEADING_END {
            self.held.clear();
            (self.at_start, self.blanks) = (true, true);
            (self.seen, self.unopened) = (true, true);
            if self.undecided.is_some() {
                thought.push_str(&self.decided(std::mem::take(answer)));
            }
        } else if !self.may_be_tag() {
            for c in std::mem::take(&mut self.held).chars() {
                self.shown(c, answer);
            }
        }
    }

    fn may_be_tag(&self) -> bool {
        let opens = |name: &&str| format!("<{name}>").starts_with(&self.held);
        TAGS.iter().any(opens) || !self.seen && LEADING_END.starts_with(&self.held)
    }

    fn shown(&mut self, c: char, answer: &mut String) {
        self.blanks = false;
        answer.push(c);
        if c == '\n' {
            (self.at_start, self.quotes) = (true, 0);
        } else if c == '`' && self.at_start {
            self.quotes += 1;
            self.code ^= self.quotes == 3;
        } else {
            self.at_start &= c.is_whitespace();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer and the thoughts, wherever the text is split.
    fn apart(text: &str) -> (String, String) {
        let whole = Thoughts::apart(text);
        let characters: Vec<char> = text.chars().collect();
        for size in 1..characters.len() {
            let mut thoughts = Thoughts::default();
            let (mut answer, mut thought) = (String::new(), String::new());
            for piece in characters.chunks(size) {
                let (said, thinks) = thoughts.pass(&piece.iter().collect::<String>());
                answer += &said;
                thought += &thinks;
            }
            answer += &thoughts.rest();
            assert_eq!(
                (answer, thought),
                whole,
                "{text:?} depends on how it is cut"
            );
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
        ] {
            assert_eq!(
                apart(text),
                (answer.to_owned(), thought.to_owned()),
                "{text:?}"
            );
        }
    }

    #[test]
    fn thoughts_that_a_template_opened_end_at_the_start_of_a_line() {
        let text = "Hm [2].\n</think>\n\nOui [1].";
        for size in 1..=text.len() {
            let mut whole = Thoughts::leading(true);
            let (mut answer, mut thought) = (String::new(), String::new());
            for piece in text.as_bytes().chunks(size) {
                let (said, thinks) = whole.pass(std::str::from_utf8(piece).expect("it is ASCII"));
                answer += &said;
                thought += &thinks;
            }
            answer += &whole.rest();
            assert_eq!(
                (answer.as_str(), thought.as_str()),
                ("Oui [1].", "Hm [2].\n")
            );
        }
        // In a stream the text before has been sent already; the end is remembered for the next answer.
        let mut stream = Thoughts::default();
        let (answer, _) = stream.pass(text);
        assert_eq!(answer, "Hm [2].\nOui [1].");
        assert!(stream.unopened());
    }

    #[test]
    fn an_answer_without_thoughts_is_whole() {
        for text in [
            "Oui [1].",
            "The tag <think> opens thoughts, </think> ends them.",
            "```\n</think>\n```\nOui",
            "Oui\n</thi",
        ] {
            let mut whole = Thoughts::leading(true);
            let (before, thought) = whole.pass(text);
            assert_eq!(before + &whole.rest(), text);
            assert_eq!(thought, "");
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
            "<think",
        ] {
            assert_eq!(apart(text), (text.to_owned(), String::new()), "{text:?}");
        }
    }
}
