//! Glyphs to lines and paragraphs, in the order in which they are drawn: that is the order of reading in all but a few
//! files, also of columns.

use hayro_interpret::kurbo::Point;

/// A glyph on a page.
pub(super) struct Placed {
    /// The characters that it stands for.
    pub(super) text: String,
    /// Where it begins, on the baseline, and where the next one would.
    pub(super) origin: Point,
    pub(super) end: Point,
    /// The size of the font.
    pub(super) size: f64,
}

/// The text of a page.
#[derive(Default)]
pub(super) struct Layout {
    text: String,
    last: Option<Last>,
}

/// The glyph before.
struct Last {
    origin: Point,
    end: Point,
    size: f64,
    text: String,
}

/// A gap that is wider than this part of the font's size is a blank.
const BLANK: f64 = 0.15;
/// Glyphs that differ less than this in height, in sizes, are on one line: an index stays with its word.
const SAME_LINE: f64 = 0.6;
/// Lines that are farther apart, in sizes, are of two paragraphs.
const PARAGRAPH: f64 = 1.8;

/// How a glyph follows another one.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Same,
    Letter,
    Blank,
    Line,
    Paragraph,
}

impl Layout {
    pub(super) fn add(&mut self, glyph: &Placed) {
        let step = self
            .last
            .as_ref()
            .map_or(Step::Letter, |last| last.step(glyph));
        match step {
            Step::Same => return,
            Step::Letter => {}
            Step::Blank => self.blank(),
            Step::Line => self.line(&glyph.text),
            Step::Paragraph => {
                self.trim();
                self.text.push_str("\n\n");
            }
        }
        for character in glyph.text.chars() {
            match character {
                _ if character.is_whitespace() => self.blank(),
                _ if character.is_control() => {}
                '\u{fb00}' => self.text.push_str("ff"),
                '\u{fb01}' => self.text.push_str("fi"),
                '\u{fb02}' => self.text.push_str("fl"),
                '\u{fb03}' => self.text.push_str("ffi"),
                '\u{fb04}' => self.text.push_str("ffl"),
                _ => self.text.push(character),
            }
        }
        self.last = Some(Last {
            origin: glyph.origin,
            end: glyph.end,
            size: glyph.size,
            text: glyph.text.clone(),
        });
    }

    pub(super) fn finish(mut self) -> String {
        self.trim();
        self.text
    }

    fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(char::is_whitespace) {
            self.text.push(' ');
        }
    }

    /// A word that is divided at the end of the line is one.
    fn line(&mut self, next: &str) {
        self.trim();
        let goes_on = next.starts_with(char::is_lowercase);
        let word = self.text.strip_suffix(['-', '\u{ad}', '\u{2010}']);
        match word {
            Some(word) if goes_on && word.ends_with(char::is_alphabetic) => {
                self.text.truncate(word.len());
            }
            _ => self.text.push('\n'),
        }
    }

    fn trim(&mut self) {
        self.text.truncate(self.text.trim_end().len());
    }
}

impl Last {
    fn step(&self, next: &Placed) -> Step {
        let size = self.size.max(next.size);
        if !(size.is_finite() && size > 0.0) {
            return Step::Letter;
        }
        // Along and across the direction in which this font writes, in sizes.
        let direction = next.end - next.origin;
        let length = direction.hypot();
        let along = if length > 0.0 {
            direction / length
        } else {
            (1.0, 0.0).into()
        };
        let gap = next.origin - self.end;
        let forward = gap.dot(along) / size;
        let across = gap.cross(along).abs() / size;
        let moved = (next.origin - self.origin).hypot() / size;
        if moved < 0.1 && self.text == next.text && length > 0.0 {
            // Printed twice to look bold.
            return Step::Same;
        }
        if across < SAME_LINE && forward > -1.0 {
            return if forward > BLANK {
                Step::Blank
            } else {
                Step::Letter
            };
        }
        if across > PARAGRAPH {
            return Step::Paragraph;
        }
        Step::Line
    }
}
