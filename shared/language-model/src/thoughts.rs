//! Thoughts in a model's text, between `<think>` and `</think>`.

/// Separates thoughts from the answer in a stream.
///
/// A tag opens thoughts only where models put it: at the start of the text, or of a line outside a code block.
/// Elsewhere it is part of the answer.
#[derive(Debug)]
pub(super) struct Thoughts {
    /// Text that may become a tag.
    held: String,
    /// The name of the open tag.
    open: Option<&'static str>,
    /// Whether a tag may open here: only blanks since the start of the line.
    at_start: bool,
    /// Whether to skip blanks: those between thoughts and the answer.
    blanks: bool,
    /// Backquotes at the start of the line, and whether they opened a code block.
    quotes: usize,
    code: bool,
}

const TAGS: [&str; 3] = ["think", "thinking", "thought"];

impl Default for Thoughts {
    fn default() -> Self {
        Self {
            held: String::new(),
            open: None,
            at_start: true,
            blanks: false,
            quotes: 0,
            code: false,
        }
    }
}

impl Thoughts {
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
                None => self.speak(c, &mut answer),
            }
        }
        (answer, thought)
    }

    /// The held-back text, at the end of the text.
    pub(super) fn rest(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        if self.open.is_some() {
            String::new()
        } else {
            held
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

    fn speak(&mut self, c: char, answer: &mut String) {
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
            self.open = opened;
        } else if !TAGS
            .iter()
            .any(|name| format!("<{name}>").starts_with(&self.held))
        {
            for c in std::mem::take(&mut self.held).chars() {
                self.shown(c, answer);
            }
        }
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
