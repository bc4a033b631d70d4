//! The place in a text of Markdown: at the start of a line, or within code.

/// The place after the characters so far.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether only blanks, or a fence of code, came since the start of the line.
    at_start: bool,
    /// Backquotes at the start of the line, and whether they opened a code block.
    quotes: usize,
    block: bool,
    /// Rows of backquotes in the line: an odd one opens code. Whether the last character was one of them.
    rows: usize,
    quoted: bool,
}

impl Default for Place {
    fn default() -> Self {
        Self {
            at_start: true,
            quotes: 0,
            block: false,
            rows: 0,
            quoted: false,
        }
    }
}

impl Place {
    pub(super) fn at_start(&self) -> bool {
        self.at_start
    }

    /// Whether within a code block, or between backquotes of the line; a stray one harms no other line.
    pub(super) fn is_code(&self) -> bool {
        self.block || self.rows % 2 == 1
    }

    /// Goes beyond `c`.
    pub(super) fn pass(&mut self, c: char) {
        if c == '\n' {
            self.new_line();
            return;
        }
        let quote = c == '`';
        self.rows += usize::from(quote && !self.quoted);
        self.quoted = quote;
        if quote && self.at_start {
            self.quotes += 1;
            if self.quotes == 3 {
                // A fence, and no code within the line.
                self.block = !self.block;
                self.rows = 0;
            }
        } else {
            self.at_start &= c.is_whitespace();
        }
    }

    /// Begins a line.
    pub(super) fn new_line(&mut self) {
        *self = Self {
            block: self.block,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_between_backquotes_or_fences() {
        for (text, code, at_start) in [
            ("", false, true),
            ("a\n ", false, true),
            ("a `b", true, false),
            ("a `b` c", false, false),
            ("a ``b ", true, false),
            ("a stray ` quote\n", false, true),
            ("```rust\nb\n", true, true),
            ("```\nb\n```\n", false, true),
            ("```\nb\n```", false, true),
            ("`b", true, false),
        ] {
            let mut place = Place::default();
            for c in text.chars() {
                place.pass(c);
            }
            assert_eq!(
                (place.is_code(), place.at_start()),
                (code, at_start),
                "{text:?}"
            );
        }
    }
}
