//! Terminal output. Stored texts, titles, ids and messages of servers are untrusted: control sequences in them are
//! replaced wherever a command prints them.

use std::{
    borrow::Cow,
    env, fmt,
    io::{self, IsTerminal as _, Write},
};

use serde::Serialize;

/// The standard output, for results; everything else is for [`note`].
pub(crate) struct Out {
    out: io::Stdout,
    coloured: bool,
}

/// A text style, where colours are enabled.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Mark,
    Dim,
    Red,
    Green,
    Yellow,
}

/// The reader of the output has closed it, as `head` does: stop without an error message.
#[derive(Debug)]
struct Closed;

/// The standard output.
pub(crate) fn out() -> Out {
    let out = io::stdout();
    let coloured = out.is_terminal() && wants_colours();
    Out { out, coloured }
}

/// Prints a message to stderr; stdout is for results.
pub(crate) fn note(text: &str) {
    // A closed stderr is not an error.
    let _ = writeln!(io::stderr(), "{}", harmless(text));
}

/// Whether the error is a closed output.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let inner = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        matches!(inner, Some(inner) if inner.is::<Closed>())
    })
}

impl Out {
    /// Whether styles are written: the output is a terminal, and nothing disables colours.
    pub(crate) fn is_coloured(&self) -> bool {
        self.coloured
    }

    /// Writes a styled text.
    pub(crate) fn styled(&mut self, style: Style, text: &impl fmt::Display) -> io::Result<()> {
        if !self.coloured {
            return write!(self, "{text}");
        }
        self.raw(style.code().as_bytes())?;
        write!(self, "{text}")?;
        self.raw(b"\x1b[0m")
    }

    /// Writes a value as indented JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let json = serde_json::to_string_pretty(value)?;
        writeln!(self, "{}", escaped(&json))
    }

    fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes).map_err(closed)
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match harmless(&String::from_utf8_lossy(bytes)) {
            Cow::Borrowed(_) => self.raw(bytes)?,
            Cow::Owned(text) => self.raw(text.as_bytes())?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(closed)
    }
}

impl Style {
    fn code(self) -> &'static str {
        match self {
            Self::Bold => "\x1b[1m",
            Self::Mark => "\x1b[1;4m",
            Self::Dim => "\x1b[2m",
            Self::Red => "\x1b[31m",
            Self::Green => "\x1b[32m",
            Self::Yellow => "\x1b[33m",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output is closed")
    }
}

impl std::error::Error for Closed {}

fn closed(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::BrokenPipe => io::Error::new(io::ErrorKind::BrokenPipe, Closed),
        _ => error,
    }
}

/// Whether colours are enabled: <https://no-color.org>.
fn wants_colours() -> bool {
    let set = |variable| env::var_os(variable).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// Whether a terminal interprets a character as a command: C0 except line breaks and tabs, DEL, C1, and what reverses the text
/// after it, so that an id or an address reads as another one (<https://trojansource.codes>).
fn is_command(c: char) -> bool {
    let reorders = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{206f}');
    reorders || c.is_control() && !"\n\t".contains(c)
}

/// Replaces control characters by replacement characters, and `\r\n` by `\n`.
fn harmless(text: &str) -> Cow<'_, str> {
    if !text.contains(is_command) {
        return Cow::Borrowed(text);
    }
    let text = text.replace("\r\n", "\n");
    Cow::Owned(text.replace(is_command, "\u{fffd}"))
}

/// JSON whose strings contain control characters only as escapes; serde escapes C0 already.
fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(is_command) {
        return Cow::Borrowed(json);
    }
    let escape = |c: char| {
        if is_command(c) {
            format!("\\u{:04x}", u32::from(c))
        } else {
            c.to_string()
        }
    };
    Cow::Owned(json.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced() {
        let evil = "a\x1b]0;title\x07b\x1b[2Jc\u{9b}31md\x7f\r\0\u{8}";
        let shown = harmless(evil);
        assert!(!shown.contains(is_command), "{shown:?}");
        for part in ["a", "b", "[2J", "c", "31m"] {
            assert!(shown.contains(part), "{shown:?}");
        }
        assert_eq!(
            harmless("fdp\u{202e}exe.\u{2066}"),
            "fdp\u{fffd}exe.\u{fffd}"
        );
        for text in ["", "été\n\tà Noël", "日本語 ﷺ 👩‍🚒", "שלום\u{200f}!"] {
            assert_eq!(harmless(text), text);
        }
        assert_eq!(harmless("one\r\ntwo"), "one\ntwo");
    }

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({ "text": "a\x1b[31m\u{9b}\x7f\u{202e}\n" });
        let json = serde_json::to_string_pretty(&value).expect("it is JSON");
        let shown = escaped(&json);
        assert!(!shown.contains(is_command), "{shown:?}");
        let back: serde_json::Value = serde_json::from_str(&shown).expect("it is JSON still");
        assert_eq!(back, value);
    }
}
