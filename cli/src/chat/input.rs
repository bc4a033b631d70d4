//! The input of questions.

use std::{
    io::{self, IsTerminal as _},
    thread,
};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::{Behavior, Config, DefaultEditor, error::ReadlineError};
use tokio::{
    signal::ctrl_c,
    sync::{mpsc, oneshot},
};

/// A terminal with a line editor. The history stays in memory: questions are private.
pub(super) struct Input {
    /// `None` while a line is typed.
    editor: Option<DefaultEditor>,
    /// The line that is typed.
    typing: Option<oneshot::Receiver<Typed>>,
    /// The terminal's mode outside the editor.
    mode: Termios,
}

/// The editor, and the line or why there is none.
type Typed = (DefaultEditor, rustyline::Result<String>);

/// The user's input at the prompt.
pub(super) enum Said {
    /// A line, or several pasted ones.
    Line(String),
    /// Only Enter.
    Nothing,
    /// Ctrl-C.
    Interrupted,
    /// Bytes that are not UTF-8.
    Unreadable,
    /// Ctrl-D, or a closed terminal.
    End,
}

/// Lines of a pipe or a file.
pub(super) struct Piped(mpsc::Receiver<io::Result<String>>);

impl Input {
    /// The terminal's.
    ///
    /// # Errors
    /// When it cannot be set up.
    pub(super) fn terminal() -> anyhow::Result<Self> {
        Ok(Self {
            editor: Some(editor()?),
            typing: None,
            mode: tcgetattr(io::stdin())?,
        })
    }

    /// The lines of stdin. The end of a conversation abandons the reading thread, since only a line ends its wait.
    pub(super) fn piped() -> Piped {
        let (sender, lines) = mpsc::channel(1);
        thread::spawn(move || {
            let mut stdin = io::stdin().lock();
            while let Some(line) = line(&mut stdin).transpose() {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Piped(lines)
    }

    /// Shows the prompt and waits for input.
    ///
    /// # Errors
    /// When the terminal fails.
    pub(super) async fn say(&mut self) -> anyhow::Result<Said> {
        let typing = match &mut self.typing {
            Some(typing) => typing,
            nothing => {
                let editor = self.editor.take().map_or_else(editor, Ok)?;
                nothing.insert(typed(editor))
            }
        };
        let (editor, line) = tokio::select! {
            typed = typing => typed?,
            // A terminal without line editing sends it as a signal.
            interrupted = ctrl_c() => {
                interrupted?;
                return Ok(Said::Interrupted);
            }
        };
        self.typing = None;
        self.editor = Some(editor);
        Ok(match line {
            Ok(line) if line.trim().is_empty() => Said::Nothing,
            Ok(line) => Said::Line(line),
            Err(ReadlineError::Interrupted) => Said::Interrupted,
            Err(ReadlineError::Eof) => Said::End,
            Err(ReadlineError::Io(error)) if error.kind() == io::ErrorKind::InvalidData => {
                Said::Unreadable
            }
            Err(error) => return Err(error.into()),
        })
    }
}

/// A command that ends at the prompt leaves the editor in another thread, which would not put the mode back.
impl Drop for Input {
    fn drop(&mut self) {
        if self.typing.is_some() {
            // A terminal that is gone has no mode.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.mode);
        }
    }
}

impl Piped {
    /// The next line, without its end; `None` after the last.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) async fn next_line(&mut self) -> io::Result<Option<String>> {
        self.0.recv().await.transpose()
    }
}

fn editor() -> rustyline::Result<DefaultEditor> {
    // If answers go to a file, it must not contain the prompt and the input.
    let behavior = if io::stdout().is_terminal() {
        Behavior::Stdio
    } else {
        Behavior::PreferTerm
    };
    DefaultEditor::with_config(Config::builder().behavior(behavior).build())
}

/// Shows the prompt and waits for a line, which is remembered. The runtime does not wait for the thread when the
/// command ends.
fn typed(mut editor: DefaultEditor) -> oneshot::Receiver<Typed> {
    let (sender, typed) = oneshot::channel();
    thread::spawn(move || {
        let line = editor.readline("> ");
        if let Ok(line) = &line {
            // A missing history entry must not end the conversation.
            let _ = editor.add_history_entry(line);
        }
        // Nobody waits for it after the command's end.
        let _ = sender.send((editor, line));
    });
    typed
}

/// A line of any bytes.
fn line(input: &mut impl io::BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if input.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(&bytes);
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}
